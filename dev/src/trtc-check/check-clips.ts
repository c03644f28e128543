import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findMediaTools } from "@roomcast/worker/media-tools";
import type { OutgoingMedia } from "@roomcast/worker/publisher";
import { readFlvTags } from "./flv-tags.ts";
import { hevcTags } from "./hevc-tags.ts";

export interface Clip {
  readonly tags: readonly OutgoingMedia[];
  readonly width: number;
  readonly height: number;
}

/** The clips that are pushed. */
export interface CheckClips {
  readonly plain: Clip;
  readonly bFrames: Clip;
  /** Null if this ffmpeg cannot encode H.265. */
  readonly hevc: Clip | null;
  /** With messages inside the picture. */
  readonly sei: Clip;
  readonly heAac: Clip;
  /** The plain one, then a larger picture. */
  readonly resized: Clip;
}

type Size = Pick<Clip, "width" | "height">;

export interface ClipOptions {
  readonly seconds: number;
  /** The folder in which ffmpeg writes. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

const FPS = 30;
const SMALL: Size = { width: 640, height: 360 };
const LARGE: Size = { width: 960, height: 540 };
const H264 = "-c:v libx264 -preset veryfast -profile:v main -pix_fmt yuv420p";

const run = promisify(execFile);

/** @throws Error where ffmpeg is not there, or fails with what every ffmpeg can do. */
export async function makeCheckClips(options: ClipOptions): Promise<CheckClips> {
  const found = await findMediaTools();
  if (found.name !== "found") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  const make = (name: string, { size = SMALL, video = `${H264} -bf 0`, sampleRateHz = 48_000, format = "flv" }) =>
    encode({ ...options, ffmpegPath: found.tools.ffmpegPath, name, size, video, sampleRateHz, format });
  const [plain, larger, bFrames, lowRate, hevc] = await Promise.all([
    make("plain", {}),
    make("larger", { size: LARGE }),
    make("b-frames", { video: `${H264} -bf 2 -b_strategy 0` }),
    make("low-rate", { sampleRateHz: 24_000 }),
    make("h265", { video: "-c:v libx265 -preset ultrafast -bf 0 -x265-params log-level=none", format: "hevc" }).catch(
      () => null,
    ),
  ]);
  const plainTags = readFlvTags(plain);
  const hevcPictures = hevc === null ? [] : hevcTags(hevc, FPS);
  return {
    plain: small(plainTags),
    bFrames: small(readFlvTags(bFrames)),
    hevc: hevcPictures.length === 0 ? null : small(hevcPictures),
    sei: small(plainTags.map(withSei)),
    heAac: small(readFlvTags(lowRate).map(announcedAsHeAac)),
    resized: small(joined(plainTags, readFlvTags(larger))),
  };
}

function small(tags: readonly OutgoingMedia[]): Clip {
  return { tags, ...SMALL };
}

interface Encode extends ClipOptions {
  readonly ffmpegPath: string;
  readonly name: string;
  readonly size: Size;
  readonly video: string;
  readonly sampleRateHz: number;
  readonly format: string;
}

async function encode({ ffmpegPath, folder, seconds, signal, ...wanted }: Encode): Promise<Buffer> {
  const { name, size, video, sampleRateHz, format } = wanted;
  const path = join(folder, `${name}.${format}`);
  const sound = format === "flv" ? "-c:a aac -b:a 96k -ac 2" : "-an";
  const args = [
    "-hide_banner -nostdin -loglevel error -y",
    `-f lavfi -i testsrc2=size=${size.width}x${size.height}:rate=${FPS}`,
    `-f lavfi -i sine=frequency=330:sample_rate=${sampleRateHz}`,
    `${video} -b:v 600k -g ${FPS} -keyint_min ${FPS} ${sound}`,
    `-t ${seconds} -f ${format}`,
  ].flatMap((part) => part.split(" "));
  await run(ffmpegPath, [...args, path], { signal });
  return readFile(path);
}

function joined(first: readonly OutgoingMedia[], second: readonly OutgoingMedia[]): OutgoingMedia[] {
  const endMs = Math.max(...first.map(({ timestampMs }) => timestampMs)) + Math.round(1000 / FPS);
  return [...first, ...second.map((tag) => ({ ...tag, timestampMs: tag.timestampMs + endMs }))];
}

/** The header of a keyframe's tag (Adobe FLV 10.1, E.4.3.1): H.264, coded pictures, its composition time. */
const KEYFRAME = Buffer.from([0x17, 1]);
const AVC_HEADER_BYTES = 5;
/** TRTC's own SDKs read type 243, and 5 where it is asked for (16 bytes of UUID, then the message). */
const MESSAGES = [
  [243, "roomcast trtc-check"],
  [5, "roomcast-check-1roomcast trtc-check"],
] as const;

/** A keyframe with messages in front of its picture (ITU-T H.264, 7.3.2.3); other tags as they are. */
function withSei(tag: OutgoingMedia): OutgoingMedia {
  const { payload } = tag;
  if (tag.kind !== "video" || !payload.subarray(0, 2).equals(KEYFRAME)) return tag;
  const units = MESSAGES.map(([type, text]) => {
    const unit = Buffer.concat([Buffer.from([6, type, text.length]), Buffer.from(text), Buffer.from([0x80])]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(unit.length);
    return Buffer.concat([length, unit]);
  });
  const header = payload.subarray(0, AVC_HEADER_BYTES);
  return { ...tag, payload: Buffer.concat([header, ...units, payload.subarray(AVC_HEADER_BYTES)]) };
}

const AAC_SEQUENCE_HEADER = Buffer.from([0xaf, 0]);
/** AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): SBR over AAC LC of 24 kHz, stereo. */
const HE_AAC_CONFIG = Buffer.from([0x2b, 0x11, 0x88, 0]);

/** AAC LC of 24 kHz is the base layer of HE-AAC of 48 kHz. A decoder finds no upper band. */
function announcedAsHeAac(tag: OutgoingMedia): OutgoingMedia {
  if (tag.kind !== "audio" || !tag.payload.subarray(0, 2).equals(AAC_SEQUENCE_HEADER)) return tag;
  return { ...tag, payload: Buffer.concat([AAC_SEQUENCE_HEADER, HE_AAC_CONFIG]) };
}
