import type { Env } from "../contracts/env.ts";
import { ROOT } from "../contracts/root-registry.ts";

/** A region that comes up is seen after this long. */
const HOLDS_MS = 10_000;

/** Every region that ever had a worker; asked of the root directory now and then. */
export class KnownRegions {
  #regions: readonly string[] = [];
  #untilMs = Number.NEGATIVE_INFINITY;

  /** @param wanted one that may have come up a moment ago */
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

/** Shared by all creates of this isolate. */
export const regionsOfCreates = new KnownRegions();
