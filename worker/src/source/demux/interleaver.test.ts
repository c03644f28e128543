import { describe, expect, it } from "vitest";
import type { MediaTag } from "../../media/media-tag.ts";
import { Interleaver } from "./interleaver.ts";

function tag(kind: MediaTag["kind"], dtsMs: number, bytes = 10): MediaTag {
  const payload = Buffer.alloc(bytes);
  return { kind, dtsMs, compositionMs: 0, keyframe: kind === "audio", sequenceHeader: false, payload };
}

function setUp(limits = { maxWaitMs: 10_000, maxWaitBytes: 1_000_000 }) {
  const given: string[] = [];
  const interleaver = new Interleaver({ ...limits, onTag: ({ kind, dtsMs }) => given.push(`${kind[0]}${dtsMs}`) });
  return { interleaver, given };
}

const steps = (from: number, to: number, step: number) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, index) => from + index * step);

describe("Interleaver", () => {
  it("sorts six seconds of picture and the sound that comes after them", () => {
    const { interleaver, given } = setUp();
    for (const segment of [0, 6000]) {
      for (const dtsMs of steps(segment, segment + 6000, 40)) interleaver.push(tag("video", dtsMs));
      for (const dtsMs of steps(segment, segment + 6000, 23)) interleaver.push(tag("audio", dtsMs));
    }
    interleaver.flush();
    const times = given.map((one) => Number(one.slice(1)));
    expect(times).toHaveLength(2 * 150 + 2 * 261);
    expect(times).toEqual(times.toSorted((one, other) => one - other));
  });

  it("stops waiting for a track that is absent longer than the limit, and includes it again when it comes", () => {
    const { interleaver, given } = setUp({ maxWaitMs: 100, maxWaitBytes: 1_000_000 });
    for (const dtsMs of [0, 50, 100]) interleaver.push(tag("video", dtsMs));
    expect(given).toEqual([]);
    interleaver.push(tag("video", 150));
    expect(given).toEqual(["v0", "v50", "v100", "v150"]);
    interleaver.push(tag("video", 200));
    expect(given.at(-1)).toBe("v200");
    interleaver.push(tag("audio", 190));
    interleaver.push(tag("audio", 260));
    interleaver.push(tag("video", 250));
    expect(given.slice(5)).toEqual(["a190", "v250"]);
  });

  it("holds no more bytes than the limit", () => {
    const { interleaver, given } = setUp({ maxWaitMs: 60_000, maxWaitBytes: 1000 });
    for (const dtsMs of [0, 1, 2]) interleaver.push(tag("video", dtsMs, 400));
    expect(given).toEqual(["v0", "v1", "v2"]);
  });

  it("does not wait for a track that the stream lacks", () => {
    const { interleaver, given } = setUp();
    interleaver.push(tag("audio", 0));
    interleaver.expect(["audio"]);
    interleaver.push(tag("audio", 20));
    expect(given).toEqual(["a0", "a20"]);
  });

  it("gives the held tags in order when it is flushed", () => {
    const { interleaver, given } = setUp();
    for (const dtsMs of [40, 80]) interleaver.push(tag("video", dtsMs));
    interleaver.push(tag("audio", 60));
    interleaver.flush();
    expect(given).toEqual(["v40", "a60", "v80"]);
  });

  it("continues when the clock restarts", () => {
    const { interleaver, given } = setUp();
    for (const dtsMs of [90_000, 90_040, 0, 40]) {
      interleaver.push(tag("video", dtsMs));
      interleaver.push(tag("audio", dtsMs));
    }
    interleaver.flush();
    expect(given).toHaveLength(8);
  });
});
