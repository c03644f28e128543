import { describe, expect, it } from "vitest";
import { splitAggregate } from "./aggregate.ts";
import type { RtmpMessage } from "./message.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

const TWO_TAGS = "0800000100006400000000af0000000c090000020000780000000017010000000d";

function aggregate(hex: string): RtmpMessage {
  return { chunkStreamId: 4, typeId: 22, streamId: 1, timestampMs: 5000, payload: Buffer.from(hex, "hex") };
}

describe("splitAggregate", () => {
  it("gives the messages inside, on the aggregate's own clock", () => {
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

  it("gives any other message as it is", () => {
    const message = { ...aggregate("af"), typeId: 8 };
    expect(splitAggregate(message)).toEqual([message]);
  });

  it("refuses one that is cut short with the typed error", () => {
    for (const length of [1, 10, 11, 17, 27, 28]) {
      expect(() => splitAggregate(aggregate(TWO_TAGS.slice(0, length * 2)))).toThrow(RtmpProtocolError);
    }
  });
});
