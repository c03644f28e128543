import { RoomcastError } from "@roomcast/shared";
import { z } from "zod";
import type { AudioInfo, HdrTransfer, MediaInfo, VideoInfo } from "../../media/media-info.ts";
import { encryptedSource } from "../encrypted-source.ts";
import { type AudioTrackChoice, chooseTrack, type TrackCandidate } from "../plan/track-choice.ts";

/** The media that ffprobe found, and the tracks that are to be played. */
export interface ProbedMedia {
  readonly media: MediaInfo;
  /** Indexes of the tracks in the source; undefined if there is no such track. */
  readonly videoIndex: number | undefined;
  readonly audioIndex: number | undefined;
  /**
   * The position at which decoding has to begin for the start position, ms. It is given if the file marks pictures as
   * keyframes that are not keyframes. It is undefined if ffmpeg finds the position by itself.
   */
  readonly decodeFromMs?: number | undefined;
}

export interface ReadProbeOptions {
  readonly audioTrack?: AudioTrackChoice | undefined;
  /** ffmpeg's names of the codecs that it can decode; undefined if every named codec counts as decodable. */
  readonly decodes?: ReadonlySet<string> | undefined;
}

const flag = z.number().optional();
const tag = z.string().optional();

const streamSchema = z.object({
  index: z.number(),
  codec_type: z.string().optional(),
  codec_name: z.string().optional(),
  codec_tag_string: z.string().optional(),
  profile: z.union([z.string(), z.number()]).optional(),
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
  start_time: z.string().optional(),
  duration: z.string().optional(),
  tags: z.object({ language: tag, DURATION: tag, enc_key_id: tag }).optional(),
  disposition: z.object({ default: flag, attached_pic: flag, timed_thumbnails: flag }).optional(),
  side_data_list: z.array(z.object({ rotation: z.number().optional() })).optional(),
});
type Stream = z.output<typeof streamSchema>;

const reportSchema = z.object({
  streams: z.array(streamSchema).default([]),
  format: z.object({
    format_name: z.string(),
    start_time: z.string().optional(),
    duration: z.string().optional(),
  }),
});

/**
 * Reads ffprobe's JSON (`-show_format -show_streams`). Of several tracks of a kind, a default one that can be decoded
 * is preferred. Of several pictures, which are the variants of a stream, the largest one is preferred. Cover pictures
 * do not count as video. Pure.
 *
 * @throws RoomcastError `FailedOperation.MediaEngine` if the string is not ffprobe's JSON; `SourceUnsupported` if the
 *   source is encrypted.
 */
export function readProbe(json: string, options: ReadProbeOptions = {}): ProbedMedia {
  const report = reportSchema.safeParse(parseJson(json));
  if (!report.success) {
    throw new RoomcastError("FailedOperation.MediaEngine", "ffprobe answered in an unknown way.", {
      cause: report.error,
    });
  }
  const { streams, format } = report.data;
  const pictures = decide(ranked(streams.filter(isPicture), format.format_name), options);
  const sounds = decide(streams.filter(isSound), options, options.audioTrack);
  const [video, audio] = [pictures.track?.stream, sounds.track?.stream];
  const choices = [...pictures.reasons, ...sounds.reasons];
  const originMs = milliseconds(format.start_time) ?? 0;
  return {
    media: {
      container: format.format_name,
      ...durationOf(report.data, [video, audio]),
      video: video === undefined ? null : { ...videoInfo(video), ...startOf(video, originMs) },
      audio: audio === undefined ? null : { ...audioInfo(audio), ...startOf(audio, originMs) },
      ...(choices.length === 0 ? {} : { choices }),
    },
    videoIndex: video?.index,
    audioIndex: audio?.index,
  };
}

/**
 * Puts the preferred picture first. The variants of a stream are equivalent, so this is the largest one. In an MP4 file
 * with a default picture the order is kept.
 */
function ranked(pictures: readonly Stream[], container: string): readonly Stream[] {
  const pixels = ({ width = 0, height = 0 }: Stream) => width * height;
  const isFile = container.startsWith("mov,") && pictures.some(({ disposition }) => disposition?.default === 1);
  return isFile ? pictures : pictures.toSorted((a, b) => pixels(b) - pixels(a));
}

interface Candidate extends TrackCandidate {
  readonly stream: Stream;
}

/** Chooses the played track of a kind. Throws if no track of this kind can be played and one of them is encrypted. */
function decide(streams: readonly Stream[], options: ReadProbeOptions, wish?: AudioTrackChoice) {
  const candidates = streams.map(
    (stream): Candidate => ({
      stream,
      isDefault: stream.disposition?.default === 1,
      language: languageOf(stream),
      problem: problemOf(stream, options),
    }),
  );
  const decision = chooseTrack(candidates, wish);
  const scheme = streams.map(encryptionOf).find((one) => one !== undefined);
  if (decision.track === undefined && scheme !== undefined) throw encryptedSource(scheme);
  return decision;
}

function languageOf({ tags }: Stream): string | undefined {
  return tags?.language === "und" ? undefined : tags?.language;
}

/** The encryption that the sample description of an MP4 track shows. ffprobe does not report the exact scheme. */
const ENCRYPTED_TAGS: Readonly<Record<string, string>> = {
  encv: "MPEG Common Encryption",
  enca: "MPEG Common Encryption",
  drmi: "FairPlay",
  drms: "FairPlay",
};

function encryptionOf({ codec_tag_string, tags }: Stream): string | undefined {
  return tags?.enc_key_id === undefined ? ENCRYPTED_TAGS[codec_tag_string ?? ""] : "Matroska encryption";
}

function problemOf(stream: Stream, { decodes }: ReadProbeOptions): string | undefined {
  const what = stream.codec_type === "video" ? "picture" : "sound";
  const scheme = encryptionOf(stream);
  if (scheme !== undefined) return `The ${what} is encrypted (${scheme}).`;
  const { codec_name: codec = "unknown" } = stream;
  if (codec === "unknown" || codec === "none") {
    const fourcc = /^\w{4}$/.test(stream.codec_tag_string ?? "") ? ` (${stream.codec_tag_string})` : "";
    return `The codec of the ${what} is unknown${fourcc} to this worker's ffmpeg.`;
  }
  if (decodes === undefined || decodes.has(codec)) {
    const described = stream.codec_type === "video" || ((stream.channels ?? 0) > 0 && Number(stream.sample_rate) > 0);
    return described ? undefined : `The ${what} (${codec}) cannot be understood by this worker's ffmpeg.`;
  }
  return `The ${what} is ${codec}, which this worker's ffmpeg cannot decode.`;
}

/**
 * Returns the duration of the played tracks if it is known. The duration of the container also counts other tracks: a
 * subtitle may outlast the film.
 */
function durationOf(
  { streams, format }: z.output<typeof reportSchema>,
  played: readonly (Stream | undefined)[],
): Pick<MediaInfo, "durationMs" | "durationIsRough"> {
  const tracksMs = played.flatMap((stream) => trackMs(stream) ?? []);
  if (tracksMs.length > 0) return { durationMs: Math.max(...tracksMs) };
  const durationMs = milliseconds(format.duration);
  const others = streams.some((stream) => !played.includes(stream));
  return { durationMs, ...(durationMs !== null && others ? { durationIsRough: true } : {}) };
}

/**
 * Returns the duration of a track. Matroska has no track durations, but muxers add one as a tag: `00:00:30.021000000`.
 */
function trackMs(stream: Stream | undefined): number | null {
  const parts = /^(\d+):(\d+):(\d+(?:\.\d+)?)$/.exec(stream?.tags?.DURATION ?? "");
  if (parts === null) return milliseconds(stream?.duration);
  return (Number(parts[1]) * 3600 + Number(parts[2]) * 60 + Number(parts[3])) * 1000 || null;
}

function startOf({ start_time }: Stream, originMs: number): { startMs?: number } {
  const startMs = (milliseconds(start_time) ?? 0) - originMs;
  return startMs > 0 ? { startMs } : {};
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
  return stream.codec_type === "audio";
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

/**
 * Returns the clockwise rotation. ffprobe reports the rotation of the display matrix counterclockwise, from -180 to
 * 180.
 */
function clockwise(stream: Stream): number {
  const rotation = stream.side_data_list?.find((data) => data.rotation !== undefined)?.rotation ?? 0;
  const turns = Math.round(-rotation / 90);
  return (((turns % 4) + 4) % 4) * 90;
}

/** Reads a ratio such as `30000/1001`; returns null for `0/0`, `0:1` and undefined. */
function ratio(text: string | undefined): number | null {
  const [above = 0, below = 0] = (text ?? "").split("/").map(Number);
  const value = above / below;
  return Number.isFinite(value) && value > 0 ? value : null;
}

function milliseconds(seconds: string | undefined): number | null {
  const value = Number(seconds);
  return seconds !== undefined && Number.isFinite(value) && value > 0 ? value * 1000 : null;
}
