import { describe, expect, it } from "vitest";
import { FlowWatch, StalledError } from "./flow-watch.ts";

const FLOOR = { bytesPerSecond: 1000, windowMs: 10_000 };

/** Yields chunks of one size, and moves the clock on before each of them. */
async function* every(chunkMs: number, bytes: number, clock: { nowMs: number }): AsyncGenerator<Buffer, undefined> {
  for (;;) {
    clock.nowMs += chunkMs;
    yield Buffer.alloc(bytes);
  }
}

async function takeAll(
  watch: FlowWatch,
  chunks: AsyncIterator<Buffer>,
  count: number,
  pause = () => {},
): Promise<void> {
  for (let taken = 0; taken < count; taken += 1) {
    await watch.next(chunks);
    pause();
  }
}

describe("FlowWatch", () => {
  it("fails when less than the floor arrives in a whole window, even if chunks arrive regularly", async () => {
    const clock = { nowMs: 0 };
    const watch = new FlowWatch(FLOOR, () => clock.nowMs);
    const reading = takeAll(watch, every(1000, 500, clock), 100);
    await expect(reading).rejects.toBeInstanceOf(StalledError);
    expect(clock.nowMs).toBe(10_000);
  });

  it("accepts rare, large chunks that reach the floor on average", async () => {
    const clock = { nowMs: 0 };
    await takeAll(new FlowWatch(FLOOR, () => clock.nowMs), every(4000, 8000, clock), 100);
    expect(clock.nowMs).toBe(400_000);
  });

  it("does not count time in which nobody reads", async () => {
    const clock = { nowMs: 0 };
    const watch = new FlowWatch(FLOOR, () => clock.nowMs);
    await takeAll(watch, every(1, 10, clock), 100, () => {
      clock.nowMs += 60_000;
    });
    expect(watch.failed(1000)).toBe(true);
  });

  it("fails while nothing arrives at all", async () => {
    const silent = { next: () => new Promise<IteratorResult<Buffer>>(() => {}) };
    await expect(new FlowWatch({ bytesPerSecond: 1000, windowMs: 1 }).next(silent)).rejects.toBeInstanceOf(
      StalledError,
    );
  });

  it("reports after a failure whether the bytes since the previous failure reach the floor", async () => {
    const clock = { nowMs: 0 };
    const watch = new FlowWatch(FLOOR, () => clock.nowMs);
    await takeAll(watch, every(1000, 5000, clock), 2);
    expect(watch.failed(10_000)).toBe(true);
    watch.waited(5000);
    expect(watch.failed(4999)).toBe(false);
    expect(watch.failed(0)).toBe(false);
  });
});
