import type { Env } from "../contracts/env.ts";
import { ROOT } from "../contracts/root-registry.ts";

/** A region that comes up is seen after this long. */
const HOLDS_MS = 10_000;

/** Every region that ever had a worker; asked of the root directory now and then. */
export class KnownRegions {
  #regions: readonly string[] = [];
  #untilMs = Number.NEGATIVE_INFINITY;

  async all(env: Env): Promise<readonly string[]> {
    if (this.#untilMs > Date.now()) return this.#regions;
    const regions = await env.DIRECTORY.getByName(ROOT).known("region");
    this.#regions = regions;
    this.#untilMs = Date.now() + HOLDS_MS;
    return regions;
  }
}
