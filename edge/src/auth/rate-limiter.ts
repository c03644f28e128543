import { RoomcastError } from "@roomcast/shared";

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * The number of buckets from which those that are full again are deleted. A full bucket has the same effect as a missing one.
 */
const MAX_BUCKETS = 10_000;

/**
 * Token buckets in this isolate's memory. Each call may be made a number of times a second, and a second's worth of calls may
 * come at once. Counting costs no call to another object. In return, an edge that runs in several isolates allows the limit in
 * each of them. The limiter is not a quota: its purpose is that one caller cannot use up the capacity of the edge.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /** @throws RoomcastError `RequestLimitExceeded` */
  take(key: string, { perSecond, nowMs }: { readonly perSecond: number; readonly nowMs: number }): void {
    if (perSecond === 0) return;
    const before = this.#buckets.get(key);
    // A clock that goes back neither adds nor removes tokens.
    const passedMs = before === undefined ? 0 : Math.max(0, nowMs - before.atMs);
    const tokens =
      before === undefined ? perSecond : Math.min(perSecond, before.tokens + (passedMs * perSecond) / 1000);
    if (tokens < 1) {
      throw new RoomcastError(
        "RequestLimitExceeded",
        `This credential makes this call too often: expected at most ${perSecond} times a second. Wait a second and try again.`,
      );
    }
    if (before === undefined && this.#buckets.size >= MAX_BUCKETS) this.#forgetFull({ perSecond, nowMs });
    this.#buckets.set(key, { tokens: tokens - 1, atMs: nowMs });
  }

  get size(): number {
    return this.#buckets.size;
  }

  #forgetFull({ perSecond, nowMs }: { readonly perSecond: number; readonly nowMs: number }): void {
    for (const [key, { tokens, atMs }] of this.#buckets) {
      if (tokens + ((nowMs - atMs) * perSecond) / 1000 >= perSecond) this.#buckets.delete(key);
    }
  }
}
