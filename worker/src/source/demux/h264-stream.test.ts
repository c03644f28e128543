import { beforeAll, describe, expect, it } from "vitest";
import type { MediaTag } from "../../media/media-tag.ts";
import { tagsOfFlv } from "../mp4/mp4.test-support.ts";
import { ffmpeg } from "./demux.test-support.ts";
import { H264Stream } from "./h264-stream.ts";

const ENCODE = "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -pix_fmt yuv420p -c:v libx264 -preset veryfast";
const DELIMITER = Buffer.from("0000000109f0", "hex");

interface Encoded {
  /** Each picture's NAL units without delimiters, in decoding order. */
  readonly pictures: Buffer[][];
  readonly tags: MediaTag[];
}

async function encode(options: string): Promise<Encoded> {
  const flv = await ffmpeg(`${ENCODE} ${options} -f flv`);
  const tags = tagsOfFlv(flv);
  const record = tags.find(({ sequenceHeader }) => sequenceHeader)?.payload.subarray(5) ?? Buffer.alloc(0);
  const spsEnd = 8 + record.readUInt16BE(6);
  const sets = [record.subarray(8, spsEnd), record.subarray(spsEnd + 3, spsEnd + 3 + record.readUInt16BE(spsEnd + 1))];
  const media = tags.filter(({ sequenceHeader }) => !sequenceHeader);
  return { tags: media, pictures: media.map((tag) => [...(tag.keyframe ? sets : []), ...unitsOf(tag.payload)]) };
}

function unitsOf(payload: Buffer): Buffer[] {
  const units: Buffer[] = [];
  for (let at = 5; at < payload.length; ) {
    const end = at + 4 + payload.readUInt32BE(at);
    units.push(payload.subarray(at + 4, end));
    at = end;
  }
  return units;
}

const annexB = (units: readonly Buffer[], code = "00000001") =>
  Buffer.concat(units.flatMap((unit) => [Buffer.from(code, "hex"), unit]));

function collect() {
  const tags: MediaTag[] = [];
  const recoveryPoints: number[] = [];
  const stream = new H264Stream({
    onTag: (tag) => tags.push(tag),
    onRecoveryPoint: (dtsMs) => recoveryPoints.push(dtsMs),
  });
  const pesPacket = (bytes: Buffer, pts: number | null, dts: number | null = null) => {
    stream.begin(pts, dts);
    stream.append(bytes, 0, bytes.length);
  };
  const media = () => tags.filter(({ sequenceHeader }) => !sequenceHeader);
  return { stream, pesPacket, media, tags, recoveryPoints };
}

const hex = (tags: readonly MediaTag[]) => tags.map(({ payload }) => payload.toString("hex", 5));

describe("H264Stream", () => {
  let plain: Encoded;
  let sliced: Encoded;
  beforeAll(async () => {
    plain = await encode("-bf 0 -g 10");
    sliced = await encode("-bf 0 -g 10 -x264-params slices=4");
  });

  it.each(["000001", "00000001", "0000000000000001"])("separates pictures at start codes %s", (code) => {
    const { stream, pesPacket, media } = collect();
    for (const [index, units] of plain.pictures.entries()) pesPacket(annexB(units, code), index * 3600);
    stream.flush();
    expect(hex(media())).toEqual(hex(plain.tags));
  });

  it("drops delimiters, filler and ends of sequence at any position", () => {
    const { stream, pesPacket, media } = collect();
    const filler = Buffer.from("0cffffff80", "hex");
    for (const [index, units] of plain.pictures.entries()) {
      pesPacket(Buffer.concat([DELIMITER, annexB([...units, filler, Buffer.of(0x0a)])]), index * 3600);
    }
    stream.flush();
    expect(hex(media())).toEqual(hex(plain.tags));
  });

  it("finds several pictures in one PES packet and interpolates missing times", () => {
    const { stream, pesPacket, media } = collect();
    for (let index = 0; index < 25; index += 5) {
      pesPacket(annexB(plain.pictures.slice(index, index + 5).flat()), index * 3600);
    }
    stream.flush();
    expect(hex(media())).toEqual(hex(plain.tags));
    expect(media().map(({ dtsMs }) => Math.round(dtsMs))).toEqual(plain.tags.map((_, index) => index * 40));
  });

  it("joins the slices of a picture that come in separate PES packets", () => {
    const { stream, pesPacket, media } = collect();
    for (const [index, units] of sliced.pictures.entries()) {
      for (const unit of units) pesPacket(annexB([unit]), index * 3600);
    }
    stream.flush();
    expect(hex(media())).toEqual(hex(sliced.tags));
    expect(media().map(({ dtsMs }) => dtsMs)).toEqual(sliced.tags.map((_, index) => index * 40));
  });

  it("joins pictures that are cut at any byte", () => {
    const { stream, pesPacket, media } = collect();
    const bytes = Buffer.concat(plain.pictures.map((units) => Buffer.concat([DELIMITER, annexB(units)])));
    for (let at = 0; at < bytes.length; at += 97) pesPacket(bytes.subarray(at, at + 97), null);
    expect(media()).toEqual([]);
    stream.flush();
    pesPacket(bytes.subarray(0, 5), 0);
    for (let at = 5; at < bytes.length; at += 97) pesPacket(bytes.subarray(at, at + 97), null);
    stream.flush();
    expect(hex(media())).toEqual(hex(plain.tags));
  });

  it("gives a sequence header at first and when the parameter sets change, but not when they repeat", async () => {
    const other = await encode("-bf 0 -g 10 -s 320x180");
    const { stream, pesPacket, tags } = collect();
    for (const [index, units] of [...plain.pictures, ...other.pictures].entries())
      pesPacket(annexB(units), index * 3600);
    stream.flush();
    const headers = tags.flatMap(({ sequenceHeader }, index) => (sequenceHeader ? [index] : []));
    expect(headers).toEqual([0, 26]);
  });

  it("reports a recovery point instead of a keyframe for a picture without IDR", async () => {
    const open = await encode("-bf 2 -g 10 -x264-params open-gop=1");
    const { stream, pesPacket, media, recoveryPoints } = collect();
    for (const [index, units] of open.pictures.entries()) pesPacket(annexB(units), index * 3600, index * 3600);
    stream.flush();
    const keyframes = media().filter(({ keyframe }) => keyframe);
    expect(keyframes).toHaveLength(1);
    expect(recoveryPoints.length).toBeGreaterThanOrEqual(2);
  });

  it("derives missing decode times from the presentation times", async () => {
    const reordered = await encode("-bf 2 -g 10");
    const { stream, pesPacket, media } = collect();
    for (const [index, units] of reordered.pictures.entries()) {
      const { dtsMs = 0, compositionMs = 0 } = reordered.tags[index] ?? {};
      pesPacket(annexB(units), (dtsMs + compositionMs) * 90);
    }
    stream.flush();
    const times = media().map(({ dtsMs }) => dtsMs);
    expect(times).toEqual(times.toSorted((one, next) => one - next));
    expect(media().every(({ compositionMs }) => compositionMs >= 0)).toBe(true);
    expect(media().map(({ dtsMs, compositionMs }) => dtsMs + compositionMs)).toEqual(
      reordered.tags.map(({ dtsMs, compositionMs }) => dtsMs + compositionMs),
    );
  });

  it("drops only the picture that lost bytes", () => {
    const { stream, pesPacket, media } = collect();
    for (const [index, units] of plain.pictures.entries()) {
      pesPacket(annexB(units), index * 3600);
      if (index === 7) stream.lose();
    }
    stream.flush();
    expect(hex(media())).toEqual(hex(plain.tags.filter((_, index) => index !== 7)));
  });
});
