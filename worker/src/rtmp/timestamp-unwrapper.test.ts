import { describe, expect, it } from "vitest";
import { TimestampUnwrapper } from "./timestamp-unwrapper.ts";

describe("TimestampUnwrapper", () => {
  it.each([
    ["a clock that advances", [1000, 1040, 1080], [1000, 1040, 1080]],
    ["a wrap at 2^32", [0xfffffff0, 0x10, 0x20], [0xfffffff0, 0x1_0000_0010, 0x1_0000_0020]],
    [
      "audio that is behind at the wrap",
      [0xfffffff0, 0x10, 0xfffffffa, 0x20],
      [0xfffffff0, 2 ** 32 + 16, 0xfffffffa, 2 ** 32 + 32],
    ],
    ["a header at 0 in the middle", [5000, 0, 5040], [5000, 0, 5040]],
    ["a header at 0 late in a session", [3_000_000_000, 0, 3_000_000_040], [3_000_000_000, 2 ** 32, 3_000_000_040]],
  ])("keeps %s continuous", (_what, timestamps, expected) => {
    const unwrapper = new TimestampUnwrapper();
    expect(timestamps.map((timestamp) => unwrapper.unwrap(timestamp))).toEqual(expected);
  });
});
