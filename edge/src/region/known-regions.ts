import { ROOT } from "../directory/directory.ts";
import type { Env } from "../env.ts";

/** A region that comes up is seen after this long. */
const HOLDS_MS = 10_000;

interface Known {
  readonly regions: readonly string[];
  readonly untilMs: number;
}

const known = new WeakMap<object, Known>();

/** Every region that ever had a worker; asked of the root directory now and then. */
export async function knownRegions(env: Env): Promise<readonly string[]> {
  const before = known.get(env);
  if (before !== undefined && before.untilMs > Date.now()) return before.regions;
  const regions = await env.DIRECTORY.getByName(ROOT).known("region");
  known.set(env, { regions, untilMs: Date.now() + HOLDS_MS });
  return regions;
}
