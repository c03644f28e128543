import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAacConfig } from "../../../media/codec/aac-config.ts";
import { parseAvcConfig } from "../../../media/codec/avc-config.ts";
import { tagsOfFlv } from "../../mp4/mp4.test-support.ts";
import { dataOf, demux, ffmpeg, inPieces, probePackets, randomFrom, shown } from "../demux.test-support.ts";
import { TsDemuxer } from "./ts-demuxer.ts";

const PICTURE = "-f lavfi -i testsrc2=s=320x180:r=25:d=3";
const TONE = "-f lavfi -i sine=r=48000:d=3";
const H264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 25";
const SOUND = "-c:a aac -b:a 64k";
const COPY = "-i pipe:0 -c copy -f mpegts";

const makeTs = (options: ConstructorParameters<typeof TsDemuxer>[0]) => new TsDemuxer(options);
const demuxTs = (...pieces: (Buffer | null)[]) => demux(makeTs, pieces);

/** The source of every transport stream below, which is encoded once. */
let flv: Buffer;
let ts: Buffer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "roomcast-ts-"));
  flv = await ffmpeg(`${PICTURE} ${TONE} ${H264} -bf 2 ${SOUND} -f flv`);
  ts = await ffmpeg(COPY, flv);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function probe(bytes: Buffer, args: readonly string[] = []) {
  const file = join(folder, "probed.ts");
  await writeFile(file, bytes);
  return await probePackets(file, args);
}

/** Puts other bytes before and after every packet. */
function repacked(bytes: Buffer, before: number, behind: number): Buffer {
  const packets: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 188) {
    packets.push(Buffer.alloc(before, 0xaa), bytes.subarray(at, at + 188), Buffer.alloc(behind, 0x55));
  }
  return Buffer.concat(packets);
}

function pidOf(bytes: Buffer, at: number): number {
  return bytes.readUInt16BE(at + 1) & 0x1fff;
}

/** Returns the positions of the packets of the picture (ffmpeg's PID 256). */
function videoPackets(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = 0; at < bytes.length; at += 188) if (pidOf(bytes, at) === 256) places.push(at);
  return places;
}

function without(bytes: Buffer, places: readonly number[]): Buffer {
  const packets: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 188) if (!places.includes(at)) packets.push(bytes.subarray(at, at + 188));
  return Buffer.concat(packets);
}

describe("TsDemuxer", () => {
  it.each([
    ["by ffmpeg's defaults", COPY],
    ["with the length of each PES packet", `${COPY} -omit_video_pes_length 0`],
    ["with small audio PES packets", `${COPY} -pes_payload_size 100`],
    ["with large audio PES packets", `${COPY} -pes_payload_size 8000`],
    ["with the clock near its wrap", `${COPY} -output_ts_offset 95443`],
    ["with a constant rate of packets", `${COPY} -muxrate 3000k`],
  ])("gives the packets of ffprobe and of the encoder for a stream made %s", async (_name, args) => {
    const bytes = await ffmpeg(args, flv);
    const { video, audio, headers } = demuxTs(bytes);
    const packets = await probe(bytes, ["-correct_ts_overflow", "0"]);
    const encoded = tagsOfFlv(flv).filter(({ sequenceHeader }) => !sequenceHeader);
    for (const [kind, tags] of [
      ["video", video],
      ["audio", audio],
    ] as const) {
      const probed = packets.filter((packet) => packet.kind === kind);
      expect(tags.map(({ keyframe }) => keyframe)).toEqual(probed.map(({ keyframe }) => keyframe));
      const firstMs = (tags[0]?.dtsMs ?? 0) - (probed[0]?.dtsMs ?? 0);
      expect(Math.abs(firstMs) % ((2 ** 33 / 90) | 0)).toBeLessThan(1);
      const wrapMs = 2 ** 33 / 90;
      const unwrapped = probed.map(({ dtsMs }) => (dtsMs < (probed[0]?.dtsMs ?? 0) - 1000 ? dtsMs + wrapMs : dtsMs));
      for (const [index, tag] of tags.entries()) expect(tag.dtsMs).toBeCloseTo(unwrapped[index] ?? -1, 1);
      const lead = probed.map(({ ptsMs, dtsMs }) => Math.round(ptsMs < dtsMs ? ptsMs + wrapMs - dtsMs : ptsMs - dtsMs));
      expect(tags.map(({ compositionMs }) => compositionMs)).toEqual(lead);
      expect(dataOf(tags)).toEqual(dataOf(encoded.filter((tag) => tag.kind === kind)));
    }
    expect(headers.map(({ kind }) => kind).toSorted()).toEqual(["audio", "video"]);
  });

  it("describes picture and sound like the encoder", () => {
    const { headers } = demuxTs(ts);
    const encoded = tagsOfFlv(flv).filter(({ sequenceHeader }) => sequenceHeader);
    const [video, audio] = ["video", "audio"].map((wanted) => headers.find(({ kind }) => kind === wanted)?.payload);
    const [encodedVideo] = encoded.filter(({ kind }) => kind === "video");
    expect(video).toEqual(encodedVideo?.payload);
    expect(parseAvcConfig(video?.subarray(5) ?? Buffer.alloc(0)).sps).toMatchObject({ width: 320, height: 180 });
    expect(parseAacConfig(audio?.subarray(2) ?? Buffer.alloc(0))).toMatchObject({ channels: 1, sampleRateHz: 48_000 });
  });

  it("gives the same tags for pieces of any size", () => {
    const whole = shown(demuxTs(ts).tags);
    for (let seed = 1; seed <= 12; seed += 1) {
      const random = randomFrom(seed);
      const most = [2, 50, 189, 1000, 70_000][seed % 5] ?? 1;
      const { tags } = demux(
        makeTs,
        inPieces(ts, () => 1 + random(most)),
      );
      expect(shown(tags), `seed ${seed}`).toBe(whole);
    }
    expect(
      shown(
        demux(
          makeTs,
          inPieces(ts, () => 1),
        ).tags,
      ),
    ).toBe(whole);
  });

  it("reads packets of 204 bytes and packets after noise", () => {
    const whole = shown(demuxTs(ts).tags);
    expect(shown(demuxTs(repacked(ts, 0, 16)).tags)).toBe(whole);
    expect(shown(demuxTs(repacked(ts, 4, 0)).tags)).toBe(whole);
    expect(shown(demuxTs(Buffer.alloc(3001, 0x47), Buffer.of(0, 1, 2), ts).tags)).toBe(whole);
  });

  it("finds the packets again after noise in the middle", () => {
    const cut = videoPackets(ts)[100] ?? 0;
    const whole = demuxTs(ts).video.length;
    const { video } = demuxTs(ts.subarray(0, cut), Buffer.alloc(1001, 0x11), ts.subarray(cut));
    expect(video).toHaveLength(whole);
    const inside = demuxTs(ts.subarray(0, cut + 50), ts.subarray(cut + 250));
    expect(inside.video.length).toBeGreaterThanOrEqual(whole - 2);
  });
});

describe("TsDemuxer with a broken stream", () => {
  it("loses one picture for each missing packet", () => {
    const whole = demuxTs(ts).video;
    const places = videoPackets(ts);
    for (const [index, place] of places.entries()) {
      if (index < 40 || index > 140) continue;
      const { video } = demuxTs(without(ts, [place]));
      const left = new Set(dataOf(video));
      // If a picture fills its last packet exactly and the next packet is missing, nothing shows that it was whole.
      const full = (ts.readUInt8((places[index - 1] ?? 0) + 3) & 0x20) === 0;
      const starts = (ts.readUInt8(place + 1) & 0x40) !== 0;
      const lost = dataOf(whole).filter((data) => !left.has(data)).length;
      expect(lost, `packet at ${place}`).toBeLessThanOrEqual(starts && full ? 2 : 1);
      expect(
        video.every((tag) => dataOf(whole).includes(dataOf([tag])[0] ?? "")),
        `packet at ${place}`,
      ).toBe(true);
    }
  });

  it("gives a repeated packet only once", () => {
    const twice = repacked(ts, 0, 0);
    const packets: Buffer[] = [];
    for (let at = 0; at < twice.length; at += 188) {
      packets.push(twice.subarray(at, at + 188));
      if ((at / 188) % 3 === 0 && (twice.readUInt8(at + 3) & 0x10) !== 0) packets.push(twice.subarray(at, at + 188));
    }
    expect(shown(demuxTs(Buffer.concat(packets)).tags)).toBe(shown(demuxTs(ts).tags));
  });

  it("loses nothing when counters restart, with or without a flush", async () => {
    const name = (index: number) => join(folder, `part${index}.ts`);
    await ffmpeg(
      `-i pipe:0 -c copy -f segment -segment_time 1 -segment_format mpegts ${join(folder, "part%d.ts")} -c copy -f null`,
      flv,
    );
    const parts = await Promise.all([0, 1, 2].map((index) => readFile(name(index))));
    const pictures = parts.map((part) => demuxTs(part).video.length).reduce((sum, count) => sum + count);
    expect(pictures).toBe(75);
    expect(demuxTs(...parts).video).toHaveLength(pictures);
    expect(demuxTs(...parts.flatMap((part) => [part, null])).video).toHaveLength(pictures);
  });

  it("loses only the picture of a packet that is marked as broken", () => {
    const broken = Buffer.from(ts);
    const place = videoPackets(ts)[60] ?? 0;
    broken.writeUInt8(broken.readUInt8(place + 1) | 0x80, place + 1);
    expect(demuxTs(broken).video).toHaveLength(demuxTs(ts).video.length - 1);
  });
});
