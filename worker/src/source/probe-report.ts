import { RoomcastError } from "@roomcast/shared";
import { z } from "zod";
import type { AudioInfo, HdrTransfer, MediaInfo, VideoInfo } from "./media-info.ts";

/** What ffprobe found, and which of the file's tracks were meant. */
export interface ProbedMedia {
  readonly media: MediaInfo;
  /** Indexes of the tracks among all of the source's; undefined where there is none. */
  readonly videoIndex: number | undefined;
  readonly audioIndex: number | undefined;
}

const flag = z.number().optional();

const streamSchema = z.object({
  index: z.number(),
  codec_type: z.string().optional(),
  codec_name: z.string().optional(),
  width: z.number().optional(),
  height: z.number().optional(),
  pix_fmt: z.string().optional(),
  has_b_frames: z.number().optional(),
  avg_frame_rate: z.string().optional(),
  r_frame_rate: z.string().optional(),
  sample_aspect_ratio: z.string().optional(),
  field_order: z.string().optional(),
  color_transfer: z.string().optional(),
  color_primaries: z.string().optional(),
  bit_rate: z.string().optional(),
  channels: z.number().optional(),
  sample_rate: z.string().optional(),
  duration: z.string().optional(),
  disposition: z.object({ default: flag, attached_pic: flag, timed_thumbnails: flag }).optional(),
  side_data_list: z.array(z.object({ rotation: z.number().optional() })).optional(),
});
type Stream = z.output<typeof streamSchema>;

const reportSchema = z.object({
  streams: z.array(streamSchema).default([]),
  format: z.object({ format_name: z.string(), duration: z.string().optional() }),
});

/**
 * Reads ffprobe's JSON (`-show_format -show_streams`). Pure. Of several tracks the default one is taken, of several
 * pictures that are all or none default (HLS variants) the largest. Cover pictures are no video.
 *
 * @throws RoomcastError `FailedOperation.MediaEngine` where it is not what ffprobe writes.
 */
export function readProbe(json: string): ProbedMedia {
  const report = reportSchema.safeParse(parseJson(json));
  if (!report.success) {
    throw new RoomcastError("FailedOperation.MediaEngine", "ffprobe answered in an unknown way.", {
      cause: report.error,
    });
  }
  const { streams, format } = report.data;
  const video = chosen(streams.filter(isPicture), (stream) => (stream.width ?? 0) * (stream.height ?? 0));
  const audio = chosen(streams.filter(isSound), () => 0);
  const tracksMs = [video, audio].flatMap((stream) => milliseconds(stream?.duration) ?? []);
  return {
    media: {
      container: format.format_name,
      durationMs: tracksMs.length > 0 ? Math.max(...tracksMs) : milliseconds(format.duration),
      video: video === undefined ? null : videoInfo(video),
      audio: audio === undefined ? null : audioInfo(audio),
    },
    videoIndex: video?.index,
    audioIndex: audio?.index,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPicture(stream: Stream): boolean {
  const still = stream.disposition?.attached_pic === 1 || stream.disposition?.timed_thumbnails === 1;
  return stream.codec_type === "video" && !still && (stream.width ?? 0) > 0 && (stream.height ?? 0) > 0;
}

function isSound(stream: Stream): boolean {
  return stream.codec_type === "audio" && (stream.channels ?? 0) > 0 && Number(stream.sample_rate) > 0;
}

function chosen(streams: readonly Stream[], rank: (stream: Stream) => number): Stream | undefined {
  const defaults = streams.filter((stream) => stream.disposition?.default === 1);
  return (defaults.length > 0 ? defaults : streams).toSorted((a, b) => rank(b) - rank(a))[0];
}

function videoInfo(stream: Stream): VideoInfo {
  const aspect = ratio(stream.sample_aspect_ratio?.replace(":", "/"));
  const square = aspect === null || Math.abs(aspect - 1) < 0.01;
  return {
    codec: stream.codec_name ?? "unknown",
    width: stream.width ?? 0,
    height: stream.height ?? 0,
    fps: ratio(stream.avg_frame_rate) ?? ratio(stream.r_frame_rate),
    pixelFormat: stream.pix_fmt ?? null,
    hasBFrames: (stream.has_b_frames ?? 0) > 0,
    gopMs: null,
    rotation: clockwise(stream),
    squarePixels: square,
    ...(square ? {} : { pixelAspect: aspect }),
    interlaced: ["tt", "bb", "tb", "bt"].includes(stream.field_order ?? ""),
    ...coloursOf(stream),
    ...bitRateOf(stream),
  };
}

function audioInfo(stream: Stream): AudioInfo {
  return {
    codec: stream.codec_name ?? "unknown",
    channels: stream.channels ?? 0,
    sampleRateHz: Number(stream.sample_rate),
    ...bitRateOf(stream),
  };
}

const HDR_TRANSFERS: Readonly<Record<string, HdrTransfer>> = { smpte2084: "PQ", "arib-std-b67": "HLG" };

function coloursOf(stream: Stream): Pick<VideoInfo, "wideColours" | "hdr"> {
  const hdr = HDR_TRANSFERS[stream.color_transfer ?? ""];
  if (hdr !== undefined) return { wideColours: true, hdr };
  return stream.color_primaries === "bt2020" ? { wideColours: true } : {};
}

function bitRateOf(stream: Stream): { bitRateKbps?: number } {
  const bitsPerSecond = Number(stream.bit_rate);
  return bitsPerSecond > 0 ? { bitRateKbps: bitsPerSecond / 1000 } : {};
}

/** ffprobe says by how much the display matrix turns the picture counterclockwise, from -180 to 180. */
function clockwise(stream: Stream): number {
  const rotation = stream.side_data_list?.find((data) => data.rotation !== undefined)?.rotation ?? 0;
  const turns = Math.round(-rotation / 90);
  return (((turns % 4) + 4) % 4) * 90;
}

/** `30000/1001`; null for `0/0`, `0:1` and what is not there. */
function ratio(text: string | undefined): number | null {
  const [above = 0, below = 0] = (text ?? "").split("/").map(Number);
  const value = above / below;
  return Number.isFinite(value) && value > 0 ? value : null;
}

function milliseconds(seconds: string | undefined): number | null {
  const value = Number(seconds);
  return seconds !== undefined && Number.isFinite(value) && value > 0 ? value * 1000 : null;
}
