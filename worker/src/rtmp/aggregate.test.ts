import { describe, expect, it } from "vitest";
import { splitAggregate } from "./aggregate.ts";
import type { RtmpMessage } from "./message.ts";

const TWO_TAGS = "0800000100006400000000af0000000c090000020000780000000017010000000d";

function aggregate(hex: string): RtmpMessage {
  return { chunkStreamId: 4, typeId: 22, streamId: 1, timestampMs: 5000, payload: Buffer.from(hex, "hex") };
}

describe("splitAggregate", () => {
  it("returns the messages inside, on the aggregate's clock", () => {
    const seen = splitAggregate(aggregate(TWO_TAGS)).map(({ typeId, timestampMs, payload }) => [
      typeId,
      timestampMs,
      payload.toString("hex"),
    ]);
    expect(seen).toEqual([
      [8, 5000, "af"],
      [9, 5020, "1701"],
    ]);
  });

  it("returns any other message unchanged", () => {
    const message = { ...aggregate("af"), typeId: 8 };
    expect(splitAggregate(message)).toEqual([message]);
  });

  it.each([
    ["that wraps", 2 ** 32 - 10, "ffffffff", "00000009", [2 ** 32 - 10, 0]],
    ["that goes back", 5000, "00000064", "00000050", [5000, 4980]],
    ["past 16,777,215 ms", 0x1000000, "01000000", "01000014", [0x1000000, 0x1000014]],
  ])("keeps a clock %s", (_what, timestampMs, first, second, expected) => {
    const tag = (timestamp: string) => `08000001${timestamp.slice(2)}${timestamp.slice(0, 2)}000000af0000000c`;
    const seen = splitAggregate({ ...aggregate(tag(first) + tag(second)), timestampMs });
    expect(seen.map((message) => message.timestampMs)).toEqual(expected);
  });

  it("returns the complete messages of an aggregate that is cut short", () => {
    const counts = [1, 10, 11, 12, 17, 27, 28].map(
      (length) => splitAggregate(aggregate(TWO_TAGS.slice(0, length * 2))).length,
    );
    expect(counts).toEqual([0, 0, 0, 1, 1, 1, 1]);
  });
});
