import { describe, expect, it, vi } from "vitest";
import type { MediaTag } from "../media/media-tag.ts";
import { audioTag, videoTag } from "./scripted-source.test-support.ts";
import { TagQueue } from "./tag-queue.ts";

function tagOf(bytes: number, dtsMs = 0): MediaTag {
  return { ...videoTag(dtsMs, false), payload: Buffer.alloc(bytes) };
}

describe("TagQueue", () => {
  it("asks its producer once to pause when it is full and once to resume when it is nearly empty", () => {
    const onPause = vi.fn<() => void>();
    const onResume = vi.fn<() => void>();
    const queue = new TagQueue({ onPause, onResume });
    for (let n = 0; n < 12; n += 1) queue.push(tagOf(64 * 1024));
    expect(onPause).toHaveBeenCalledTimes(1);
    for (let n = 0; n < 10; n += 1) queue.shift();
    expect(onResume).not.toHaveBeenCalled();
    queue.shift();
    expect(onResume).toHaveBeenCalledTimes(1);
    expect(queue.queuedBytes).toBe(64 * 1024);
  });

  it("keeps the order of many more tags than it holds at once", () => {
    const queue = new TagQueue();
    const taken: number[] = [];
    for (let n = 0; n < 10_000; n += 1) {
      queue.push(tagOf(1, n));
      if (n % 3 !== 0) taken.push(queue.shift()?.dtsMs ?? -1);
    }
    for (let tag = queue.shift(); tag !== undefined; tag = queue.shift()) taken.push(tag.dtsMs);
    expect(taken).toEqual(Array.from({ length: 10_000 }, (_value, n) => n));
    expect(queue.queuedBytes).toBe(0);
  });

  it("measures the queued time and ignores the timestamps of sequence headers", () => {
    const queue = new TagQueue();
    queue.push(audioTag(0, true));
    expect(queue.queuedMs).toBe(0);
    queue.push(videoTag(90_000, true));
    queue.push(videoTag(90_033, false));
    expect(queue.queuedMs).toBe(33);
  });

  it("notifies its reader of the first tag and of the first end, and accepts nothing afterwards", () => {
    const queue = new TagQueue();
    const onReadable = vi.fn<() => void>();
    queue.onReadable = onReadable;
    queue.push(tagOf(1));
    queue.push(tagOf(1));
    expect(onReadable).toHaveBeenCalledTimes(1);
    queue.finish({ name: "finished" });
    queue.push(tagOf(1));
    expect(onReadable).toHaveBeenCalledTimes(2);
    expect(queue.end).toEqual({ name: "finished" });
    expect(queue.queuedBytes).toBe(2);
  });
});
