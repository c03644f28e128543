import { describe, expect, it } from "vitest";
import { flvHeader, flvTagSlices } from "./flv-writer.ts";

describe("FLV writing", () => {
  it.each([
    [{ audio: true, video: true }, "464c5601050000000900000000"],
    [{ audio: true, video: false }, "464c5601040000000900000000"],
    [{ audio: false, video: true }, "464c5601010000000900000000"],
  ])("says in the header which tracks there are: %j", (tracks, hex) => {
    expect(flvHeader(tracks).toString("hex")).toBe(hex);
  });

  it.each([
    ["audio", 1000, "af01", "080000020003e800000000af010000000d"],
    ["video", 0x01234567, "1701", "090000022345670100000017010000000d"],
    ["data", 2 ** 32 + 1, "02", "1200000100000100000000020000000c"],
  ] as const)("writes a tag of %s at %i ms", (kind, timestampMs, payload, hex) => {
    const slices = flvTagSlices({ kind, timestampMs, payload: Buffer.from(payload, "hex") });
    expect(Buffer.concat(slices).toString("hex")).toBe(hex);
  });

  it("does not copy the payload", () => {
    const payload = Buffer.of(1);
    expect(flvTagSlices({ kind: "audio", timestampMs: 0, payload })[1]).toBe(payload);
  });

  it("refuses a payload that FLV has no room for", () => {
    const payload = Buffer.alloc(0x1000000);
    expect(() => flvTagSlices({ kind: "video", timestampMs: 0, payload })).toThrow(RangeError);
  });
});
