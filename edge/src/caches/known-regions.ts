import type { Env } from "../contracts/env.ts";
import { ROOT } from "../contracts/root-registry.ts";

/** The time for which the list of regions is used before it is read again. */
const HOLDS_MS = 10_000;

/** The regions that have ever had a worker, as the root registry listed them at most ten seconds ago. */
export class KnownRegions {
  #regions: readonly string[] = [];
  #untilMs = Number.NEGATIVE_INFINITY;

  /** @param wanted a region that the caller needs. If it is not in the list, the list is read again at once. */
  async all(env: Env, wanted?: string): Promise<readonly string[]> {
    const isNew = wanted !== undefined && !this.#regions.includes(wanted);
    if (this.#untilMs > Date.now() && !isNew) return this.#regions;
    const regions = await env.DIRECTORY.getByName(ROOT).known("region");
    this.#regions = regions;
    this.#untilMs = Date.now() + HOLDS_MS;
    return regions;
  }
  forget(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }
}

/** The instance that all create requests in this isolate share. */
export const regionsOfCreates = new KnownRegions();
