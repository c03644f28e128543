import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAacConfig } from "../../../media/codec/aac-config.ts";
import { parseAvcConfig } from "../../../media/codec/avc-config.ts";
import { tagsOfFlv } from "../../mp4/mp4.test-support.ts";
import { dataOf, demux, ffmpeg, inPieces, probePackets, randomFrom, shown } from "../demux.test-support.ts";
import { DemuxError, type DemuxerOptions } from "../demuxer.ts";
import { Fmp4Demuxer } from "./fmp4-demuxer.ts";

const PICTURE = "-f lavfi -i testsrc2=s=320x180:r=25:d=3";
const TONE = "-f lavfi -i sine=r=48000:d=3";
const H264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 25";
const FRAGMENTED = "-i pipe:0 -c copy -movflags frag_keyframe+empty_moov+default_base_moof -f mp4";

const makeFmp4 = (options: DemuxerOptions) => new Fmp4Demuxer(options);
const demuxFmp4 = (...pieces: (Buffer | null)[]) => demux(makeFmp4, pieces);

let flv: Buffer;
let fmp4: Buffer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "roomcast-fmp4-"));
  flv = await ffmpeg(`${PICTURE} ${TONE} ${H264} -bf 2 -c:a aac -b:a 64k -f flv`);
  fmp4 = await ffmpeg(FRAGMENTED, flv);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function probe(bytes: Buffer) {
  const file = join(folder, "probed.mp4");
  await writeFile(file, bytes);
  return await probePackets(file);
}

interface Place {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

function topBoxes(bytes: Buffer): Place[] {
  const boxes: Place[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = start + bytes.readUInt32BE(start);
    boxes.push({ type: bytes.toString("latin1", start + 4, start + 8), start, end });
    start = end;
  }
  return boxes;
}

const box = (type: string, body: Buffer) => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, body]);
};

describe("Fmp4Demuxer", () => {
  it.each<[name: string, args: string, earlyMs?: number]>([
    ["a fragment for each group of pictures", FRAGMENTED],
    ["a fragment for each half second", `${FRAGMENTED.replace("frag_keyframe+", "")} -frag_duration 500000`],
    ["a fragment for each picture", FRAGMENTED.replace("frag_keyframe", "frag_every_frame")],
    ["absolute offsets", FRAGMENTED.replace("+default_base_moof", "")],
    ["offsets that continue from track to track", FRAGMENTED.replace("+default_base_moof", "+omit_tfhd_offset")],
    ["a fragment for each track", FRAGMENTED.replace("+default_base_moof", "+separate_moof+default_base_moof")],
    ["negative composition times", FRAGMENTED.replace("empty_moov", "empty_moov+negative_cts_offsets"), 40],
    ["an edit list", FRAGMENTED.replace("empty_moov", "delay_moov")],
    ["the boxes of DASH", FRAGMENTED.replace("empty_moov", "empty_moov+dash")],
    ["CMAF", FRAGMENTED.replace("empty_moov", "cmaf"), 40],
  ])("gives the packets of ffprobe and of the encoder for a file with %s", async (_name, args, earlyMs = 0) => {
    const bytes = await ffmpeg(args, flv);
    const { video, audio, headers } = demuxFmp4(bytes);
    const packets = await probe(bytes);
    const encoded = tagsOfFlv(flv).filter(({ sequenceHeader }) => !sequenceHeader);
    for (const [kind, tags] of [
      ["video", video],
      ["audio", audio],
    ] as const) {
      const probed = packets.filter((packet) => packet.kind === kind);
      expect(tags.map(({ keyframe }) => keyframe)).toEqual(probed.map(({ keyframe }) => keyframe));
      // For negative composition times ffmpeg keeps the decode times and presents the pictures later.
      const movedMs = kind === "video" ? earlyMs : 0;
      const late = (index: number) => Math.abs((tags[index]?.dtsMs ?? 1e9) + movedMs - (probed[index]?.dtsMs ?? 0));
      expect(Math.max(...probed.keys().map(late))).toBeLessThan(0.1);
      expect(tags.map(({ compositionMs }) => compositionMs)).toEqual(
        probed.map(({ ptsMs, dtsMs }) => Math.round(ptsMs - dtsMs)),
      );
      expect(dataOf(tags)).toEqual(dataOf(encoded.filter((tag) => tag.kind === kind)));
    }
    expect(headers.map(({ kind }) => kind).toSorted()).toEqual(["audio", "video"]);
  });

  it("describes picture and sound and sorts them by time within a fragment", () => {
    const { headers, tags, announced } = demuxFmp4(fmp4);
    const [video, audio] = ["video", "audio"].map((wanted) => headers.find(({ kind }) => kind === wanted)?.payload);
    expect(parseAvcConfig(video?.subarray(5) ?? Buffer.alloc(0)).sps).toMatchObject({ width: 320, height: 180 });
    expect(parseAacConfig(audio?.subarray(2) ?? Buffer.alloc(0))).toMatchObject({ channels: 1, sampleRateHz: 48_000 });
    const times = tags.filter(({ dtsMs }) => dtsMs < 900).map(({ dtsMs }) => dtsMs);
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    expect(announced).toEqual([
      [
        { id: 1, kind: "video", codec: "h264", language: undefined, enabled: true, encryption: undefined },
        { id: 2, kind: "audio", codec: "aac", language: undefined, enabled: true, encryption: undefined },
      ],
    ]);
  });

  it("gives the same tags for pieces of any size", () => {
    const whole = shown(demuxFmp4(fmp4).tags);
    for (let seed = 1; seed <= 12; seed += 1) {
      const random = randomFrom(seed);
      const most = [2, 50, 189, 1000, 70_000][seed % 5] ?? 1;
      const { tags } = demux(
        makeFmp4,
        inPieces(fmp4, () => 1 + random(most)),
      );
      expect(shown(tags), `seed ${seed}`).toBe(whole);
    }
    expect(
      shown(
        demux(
          makeFmp4,
          inPieces(fmp4, () => 1),
        ).tags,
      ),
    ).toBe(whole);
  });

  it("reads an init segment and separate segments with other boxes between them", async () => {
    const whole = demuxFmp4(fmp4).tags;
    const places = topBoxes(fmp4);
    const init = fmp4.subarray(0, places.find(({ type }) => type === "moof")?.start);
    const pieces: (Buffer | null)[] = [init, null];
    for (const { type, start, end } of places.filter((place) => place.type === "moof" || place.type === "mdat")) {
      if (type === "moof") pieces.push(null, init, box("styp", Buffer.from("msdh")), box("emsg", Buffer.alloc(60)));
      pieces.push(box("free", Buffer.alloc(9)), fmp4.subarray(start, end));
    }
    const { tags } = demuxFmp4(...pieces.filter((piece) => piece?.toString("latin1", 4, 8) !== "free"));
    expect(shown(tags)).toBe(shown(whole));
    // Other boxes may lie between a fragment's index and its data if the offsets allow it.
    expect(demuxFmp4(...pieces).announced).toHaveLength(1);
  });

  it("announces the tracks again when another init segment comes", async () => {
    const other = await ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -f lavfi -i sine=r=44100:d=1 -c:v libx264 -c:a libmp3lame -movflags frag_keyframe+empty_moov -f mp4",
    );
    const { announced, headers } = demuxFmp4(fmp4, other, null, fmp4);
    expect(announced.map((tracks) => tracks.map(({ codec }) => codec))).toEqual([
      ["h264", "aac"],
      ["h264", "mp3"],
      ["h264", "aac"],
    ]);
    expect(headers.map(({ kind }) => kind)).toEqual(["video", "audio", "video", "video", "audio"]);
  });

  it("converts shorter NAL unit lengths to four bytes", () => {
    const short = Buffer.from(fmp4);
    // No unit of the clip is 64 KiB long: read with lengths of 2 bytes, each is an empty unit and then itself.
    const record = short.indexOf("avcC", 0, "latin1") + 4;
    short.writeUInt8(0xfd, record + 4);
    const { video } = demuxFmp4(short);
    const units = (payload: Buffer) => {
      const found: string[] = [];
      for (let at = 5; at < payload.length; ) {
        const length = payload.readUInt32BE(at);
        if (length > 0) found.push(payload.toString("hex", at + 4, at + 4 + length));
        at += 4 + length;
      }
      return found;
    };
    expect(video.map(({ payload }) => units(payload))).toEqual(
      demuxFmp4(fmp4).video.map(({ payload }) => units(payload)),
    );
  });

  it("reads parameter sets inside the samples", async () => {
    const bytes = await ffmpeg(
      `-i pipe:0 -c copy -bsf:v h264_mp4toannexb -tag:v avc3 -movflags frag_keyframe+empty_moov -f mp4`,
      flv,
    );
    const stripped = Buffer.from(bytes);
    const record = stripped.indexOf("avcC", 0, "latin1") + 4;
    stripped.writeUInt8(0xe0, record + 5);
    const { video, headers } = demuxFmp4(stripped);
    expect(video).toHaveLength(75);
    expect(headers.filter(({ kind }) => kind === "video")).toHaveLength(1);
  });

  it.each([
    ["hevc", "-c:v libx265 -x265-params log-level=none", "hevc"],
    ["av1", "-c:v libsvtav1 -preset 12", "av1"],
    ["vp9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", "vp9"],
  ])("names %s and gives no tags of it", async (_name, args, codec) => {
    const bytes = await ffmpeg(
      `-f lavfi -i testsrc2=s=64x64:r=10:d=0.5 ${args} -pix_fmt yuv420p -movflags frag_keyframe+empty_moov -f mp4`,
    );
    const { announced, tags } = demuxFmp4(bytes);
    expect(announced).toMatchObject([[{ kind: "video", codec }]]);
    expect(tags).toEqual([]);
  });

  it.each([
    ["ac3", "ac3"],
    ["eac3", "eac3"],
    ["libopus", "opus"],
    ["flac", "flac"],
    ["libmp3lame", "mp3"],
  ])("names the sound of %s", async (encoder, codec) => {
    const bytes = await ffmpeg(
      `-f lavfi -i sine=r=48000:d=0.3 -c:a ${encoder} -strict -2 -movflags frag_keyframe+delay_moov -f mp4`,
    );
    expect(demuxFmp4(bytes).announced).toMatchObject([[{ kind: "audio", codec }]]);
  });

  it("names the scheme of encrypted tracks and gives no tags of them", async () => {
    const key =
      "-encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8";
    const bytes = await ffmpeg(`-i pipe:0 -c copy -movflags frag_keyframe+empty_moov ${key} -f mp4`, flv);
    const { announced, tags } = demuxFmp4(bytes);
    expect(announced).toMatchObject([
      [
        { codec: "h264", encryption: "cenc" },
        { codec: "aac", encryption: "cenc" },
      ],
    ]);
    expect(tags).toEqual([]);
  });

  it("refuses a file with pictures before its fragments instead of losing them", async () => {
    const bytes = await ffmpeg("-i pipe:0 -c copy -movflags frag_keyframe -f mp4", flv);
    expect(() => demuxFmp4(bytes)).toThrow("The MP4 has media in front of its fragments.");
  });

  it("refuses bytes that are not a fragmented MP4", async () => {
    expect(() => demuxFmp4(Buffer.from("<html><body>Not found</body></html>"))).toThrow(DemuxError);
    const plain = await ffmpeg("-i pipe:0 -c copy -movflags frag_keyframe+empty_moov -f mp4", flv);
    plain.write("free", plain.indexOf("mvex", 0, "latin1"), "latin1");
    expect(() => demuxFmp4(plain)).toThrow(DemuxError);
  });
});
