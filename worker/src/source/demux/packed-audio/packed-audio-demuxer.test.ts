import { beforeAll, describe, expect, it } from "vitest";
import { tagsOfFlv } from "../../mp4/mp4.test-support.ts";
import { dataOf, demux, ffmpeg, inPieces, randomFrom, shown } from "../demux.test-support.ts";
import { DemuxError, type DemuxerOptions } from "../demuxer.ts";
import { PackedAudioDemuxer } from "./packed-audio-demuxer.ts";

const makePacked = (options: DemuxerOptions) => new PackedAudioDemuxer(options);
const demuxPacked = (...pieces: (Buffer | null)[]) => demux(makePacked, pieces);

let flv: Buffer;
let adts: Buffer;
beforeAll(async () => {
  flv = await ffmpeg("-f lavfi -i sine=r=44100:d=2 -c:a aac -f flv");
  adts = await ffmpeg("-i pipe:0 -c copy -f adts", flv);
});

/** Writes a tag like Apple's segmenter (RFC 8216, 3.4), with the given padding. */
function timeTag(ticks: number, padding = 0): Buffer {
  const owner = Buffer.from("com.apple.streaming.transportStreamTimestamp\0", "latin1");
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(ticks));
  const frame = Buffer.alloc(10);
  frame.write("PRIV", "latin1");
  frame.writeUInt8(owner.length + time.length, 7);
  const size = 10 + owner.length + time.length + padding;
  const header = Buffer.from([
    0x49,
    0x44,
    0x33,
    4,
    0,
    0,
    size >> 21,
    (size >> 14) & 0x7f,
    (size >> 7) & 0x7f,
    size & 0x7f,
  ]);
  return Buffer.concat([header, frame, owner, time, Buffer.alloc(padding)]);
}

describe("PackedAudioDemuxer", () => {
  it("gives the encoded frames from the time in the tag on", () => {
    const { audio, headers, announced } = demuxPacked(timeTag(900_000), adts);
    const encoded = tagsOfFlv(flv);
    expect(announced).toEqual([[{ id: 1, kind: "audio", codec: "aac" }]]);
    expect(dataOf(audio)).toEqual(dataOf(encoded.filter(({ sequenceHeader }) => !sequenceHeader)));
    expect(audio[0]?.dtsMs).toBe(10_000);
    expect(audio[10]?.dtsMs).toBeCloseTo(10_000 + (10 * 1024 * 1000) / 44_100, 6);
    expect(headers).toHaveLength(1);
  });

  it("gives the same tags for pieces of any size", () => {
    const bytes = Buffer.concat([timeTag(1234, 5000), adts]);
    const whole = shown(demuxPacked(bytes).tags);
    for (let seed = 1; seed <= 12; seed += 1) {
      const random = randomFrom(seed);
      const most = [2, 50, 189, 1000, 70_000][seed % 5] ?? 1;
      const { tags } = demux(
        makePacked,
        inPieces(bytes, () => 1 + random(most)),
      );
      expect(shown(tags), `seed ${seed}`).toBe(whole);
    }
  });

  it("continues past the wrap of the clock from segment to segment", () => {
    const { audio } = demuxPacked(timeTag(2 ** 33 - 90_000), adts, null, timeTag(90_000), adts);
    const half = audio.length / 2;
    expect((audio[half]?.dtsMs ?? 0) - (audio[0]?.dtsMs ?? 0)).toBeCloseTo(2000, 6);
  });

  it("continues after the last frame when a segment has no tag, and begins at 0 when none has one", () => {
    const { audio } = demuxPacked(adts, null, adts);
    const frameMs = (1024 * 1000) / 44_100;
    expect(audio[0]?.dtsMs).toBe(0);
    expect(audio[audio.length / 2]?.dtsMs).toBeCloseTo((audio.length / 2) * frameMs, 6);
  });

  it.each([
    ["libmp3lame", "mp3", "mp3"],
    ["ac3", "ac3", "ac3"],
    ["eac3", "eac3", "eac3"],
  ])("names %s and gives no tags of it", async (encoder, format, codec) => {
    const bytes = await ffmpeg(`-f lavfi -i sine=r=48000:d=0.5 -c:a ${encoder} -f ${format}`);
    const { announced, tags } = demuxPacked(timeTag(0), bytes);
    expect(announced).toEqual([[{ id: 1, kind: "audio", codec }]]);
    expect(tags).toEqual([]);
  });

  it("reads the time and skips the rest of a large tag", () => {
    const { audio } = demux(
      makePacked,
      inPieces(Buffer.concat([timeTag(90_000, 1_900_000), adts]), () => 10_000),
    );
    expect(audio[0]?.dtsMs).toBe(1000);
    expect(audio).toHaveLength(tagsOfFlv(flv).length - 1);
  });

  it("refuses an endless tag and bytes that are not audio", () => {
    const endless = timeTag(0);
    endless.fill(0x7f, 6, 10);
    expect(() => demuxPacked(endless, Buffer.alloc(200_000))).toThrow(DemuxError);
    expect(() => demuxPacked(Buffer.alloc(200_000, 0x20))).toThrow(DemuxError);
  });

  it("loses only the damaged frames", () => {
    const broken = Buffer.from(adts);
    broken.fill(0, 3000, 3010);
    const { audio } = demuxPacked(timeTag(0), broken);
    expect(audio.length).toBeGreaterThanOrEqual(tagsOfFlv(flv).length - 4);
  });
});
