import type { HdrTransfer } from "../../media/media-info.ts";
import type { AudioPlan } from "../plan/audio-plan.ts";
import type { Plan } from "../plan/plan.ts";
import type { VideoPlan, VideoTarget } from "../plan/video-plan.ts";
import { memoryOptions } from "./child-limits.ts";

/** The input that ffmpeg reads. */
export type FfmpegInput =
  /** A URL of the source gateway; it holds no secret. */
  | { readonly kind: "url"; readonly url: string }
  /** A byte stream on stdin. */
  | { readonly kind: "stream"; readonly format: StreamFormat };

/** ffmpeg's name of the format on its stdin; with `any`, ffmpeg detects it by the content. */
export type StreamFormat = "flv" | "matroska" | "mpegts" | "mov" | "any";

export interface FfmpegArgumentsOptions {
  readonly input: FfmpegInput;
  readonly plan: Plan;
  /** Position to start at, ms; ignored if `live`. */
  readonly startAtMs: number;
  /** The position at which decoding has to begin for `startAtMs`, ms; undefined if ffmpeg finds it. */
  readonly decodeFromMs?: number | undefined;
  readonly live: boolean;
  /** The duration at the beginning of the input that is decoded but not written, ms. */
  readonly skipMs?: number | undefined;
  /**
   * A longer step forward counts as a jump of the clock, ms; 10 s unless given. When the clock of an MPEG-TS restarts,
   * the last of its old sound comes after the first of its new pictures. ffmpeg sees this as a jump back, one forward
   * and another one back. If it ignored the jump forward, the picture would freeze for that time.
   */
  readonly smallestJumpMs?: number | undefined;
  /** Indexes of the tracks in the source; undefined for the first track of the kind. */
  readonly videoIndex?: number | undefined;
  readonly audioIndex?: number | undefined;
  /** The position at which the sound begins, ms; undefined if it is the beginning or unknown. */
  readonly soundFromMs?: number | undefined;
}

/** One `-i`, with the options in front of it. */
export interface FfmpegInputArguments {
  /** A URL, or `pipe:0` for stdin. */
  readonly source: string;
  readonly options: readonly string[];
}

export interface FfmpegArguments {
  readonly inputs: readonly FfmpegInputArguments[];
  readonly outputOptions: readonly string[];
}

/**
 * Demuxers that a source may choose by its content. Demuxers that open other addresses by themselves are left out on
 * purpose: playlists of every kind (HLS is read in this process), concat, sdp, rtsp, image sequences.
 */
const SOURCE_FORMATS = [
  "mov,mp4,m4a,3gp,3g2,mj2",
  "matroska,webm",
  "flv,live_flv",
  "mpegts,mpeg",
  "mp3,aac,ac3,eac3,flac,wav,w64,aiff,ogg,amr,caf",
  "avi,asf,h264,hevc",
].join(",");

/**
 * The protocols that ffmpeg may use. The gateway speaks plain HTTP, for which ffmpeg itself opens `tcp`. `file`,
 * `https` and `crypto` are left out on purpose.
 */
const GATEWAY_PROTOCOLS = "http,tcp";

/**
 * A read from the gateway fails after this time without data. It is longer than the time-outs of the gateway, whose
 * errors name the cause.
 */
const READ_TIMEOUT_US = 30_000_000;
/**
 * The longest delay before ffmpeg reconnects, seconds. It reconnects at once, then after 1 s, and its demuxers may
 * repeat that several times. Longer waits are left to the gateway: with longer delays here, an ffmpeg that waits for a
 * source would outlive a killed worker by minutes.
 */
const RECONNECT_DELAY_MAX_S = 1;

/**
 * All timestamps of the output are shifted by this, ms. FLV has no negative times, and audio begins about 20 ms before
 * the picture (the encoder's priming): without the shift ffmpeg would move both tracks by that.
 */
export const OUTPUT_SHIFT_MS = 1000;

/** The longest time that one track is held back for the other, in µs; the muxer's default is 10 s. */
const LONGEST_HOLD_US = 500_000;
/**
 * The same for MP4, in µs. A fragment holds all of one track before the other, and fragments are rarely longer than
 * this.
 */
const FRAGMENT_HOLD_US = 20_000_000;
/**
 * Sound that begins this much later than the picture is read through a second input, ms. With one input, ffmpeg would
 * first read and encode everything before the sound, because it writes nothing before it has seen a frame of every
 * track that it encodes.
 */
const LATE_SOUND_MS = 3000;
/** The input of late sound starts this much before the sound, ms, because positions in a container are not exact. */
const LATE_SOUND_LEAD_MS = 1000;

/** Returns the options that precede a gateway URL, for ffmpeg and ffprobe. */
export function gatewayInputOptions(): string[] {
  return [
    memoryOptions(),
    ["-protocol_whitelist", GATEWAY_PROTOCOLS],
    ["-format_whitelist", SOURCE_FORMATS],
    ["-rw_timeout", String(READ_TIMEOUT_US)],
    // Without -reconnect a dropped connection counts as an end of file, with exit code 0. -reconnect_on_network_error is
    // not needed, because the gateway accepts every connection while the worker runs.
    ["-reconnect", "1"],
    ["-reconnect_delay_max", String(RECONNECT_DELAY_MAX_S)],
  ].flat();
}

/** Returns the options that precede a stream on stdin, for ffmpeg and ffprobe. */
export function streamInputOptions(format: StreamFormat): string[] {
  // Our own FLV starts with its headers and a keyframe, so one second of it is enough. An MPEG-TS is analysed until its
  // first table of tracks is read; by default the programs would wait 5 s for further tables.
  const probing = {
    flv: ["-analyzeduration", "1000000", "-f", "flv"],
    matroska: ["-analyzeduration", "1000000", "-f", "matroska"],
    mpegts: ["-scan_all_pmts", "0", "-f", "mpegts"],
    mov: ["-f", "mov"],
    any: ["-format_whitelist", SOURCE_FORMATS],
  }[format];
  return [...memoryOptions(), "-protocol_whitelist", "pipe", ...probing];
}

/** Returns the whole command line of a push, without the program. Pure. */
export function ffmpegArguments(options: FfmpegArgumentsOptions): FfmpegArguments {
  const { plan, live } = options;
  const startAtMs = live ? 0 : options.startAtMs;
  const generated = generatedInput(plan, startAtMs);
  const silenceMs = silenceBeforeSoundMs(options, startAtMs);
  const second = generated ?? (silenceMs > 0 ? lateSoundInput(options, startAtMs + silenceMs) : undefined);
  const audioInput = silenceMs > 0 ? 1 : 0;
  return {
    inputs: [sourceInput(options, startAtMs), ...(second === undefined ? [] : [second])],
    outputOptions: [
      (options.skipMs ?? 0) > 0 ? ["-ss", seconds(options.skipMs ?? 0)] : [],
      ["-map", plan.video.action === "generate" ? "1:v:0" : `0:${options.videoIndex ?? "V:0"}`],
      ["-map", plan.audio.action === "generate" ? "1:a:0" : `${audioInput}:${options.audioIndex ?? "a:0"}`],
      videoOptions(plan.video, startAtMs, isDecodedBefore(options)),
      audioOptions(plan.audio, { startAtMs, isCut: isDecodedBefore(options), silenceMs }),
      // A generated track never ends by itself, so the output ends with the other track.
      generated === undefined ? [] : ["-shortest"],
      ["-map_metadata", "-1", "-sn", "-dn"],
      ["-output_ts_offset", seconds(OUTPUT_SHIFT_MS)],
      // Without this limit a track would be held back for another track that has stopped or is late.
      ["-max_interleave_delta", String(longestHoldUs(options))],
      ["-flvflags", "no_duration_filesize+no_metadata+no_sequence_end"],
      ["-f", "flv"],
    ].flat(),
  };
}

function longestHoldUs({ input, live }: FfmpegArgumentsOptions): number {
  const mayHaveFragments = input.kind === "stream" ? input.format === "mov" : !live;
  return mayHaveFragments ? FRAGMENT_HOLD_US : LONGEST_HOLD_US;
}

/** Returns true if decoding begins before the requested position. The media before that position are then cut off. */
function isDecodedBefore({ startAtMs, decodeFromMs = startAtMs, live }: FfmpegArgumentsOptions): boolean {
  return !live && decodeFromMs < startAtMs;
}

function sourceInput(options: FfmpegArgumentsOptions, startAtMs: number): FfmpegInputArguments {
  const common = ["-hide_banner", "-nostats", "-loglevel", "warning"];
  if (options.input.kind === "stream") {
    const { smallestJumpMs } = options;
    const jumps = smallestJumpMs === undefined ? [] : ["-dts_delta_threshold", seconds(smallestJumpMs)];
    return { source: "pipe:0", options: [...common, ...jumps, ...streamInputOptions(options.input.format)] };
  }
  const seekMs = Math.min(startAtMs, options.decodeFromMs ?? startAtMs);
  return {
    source: options.input.url,
    options: [
      ...common,
      "-nostdin",
      // Without -copyts, a seek would set the time of its keyframe to 0. -start_at_zero removes the offset of the
      // container.
      ...(options.live ? [] : ["-copyts", "-start_at_zero"]),
      ...gatewayInputOptions(),
      ...(seekMs > 0 ? ["-ss", seconds(seekMs)] : []),
      // A copied video starts at the keyframe before the position, so decoded audio must start there too.
      ...(seekMs > 0 && options.plan.video.action === "copy" ? ["-noaccurate_seek"] : []),
    ],
  };
}

/** Returns the duration of the silence before sound that begins late, ms; 0 if ffmpeg waits for the sound. */
function silenceBeforeSoundMs(options: FfmpegArgumentsOptions, startAtMs: number): number {
  const { input, live, plan, soundFromMs = 0 } = options;
  const isEncoded = plan.audio.action === "transcode" && plan.video.action !== "generate";
  if (input.kind !== "url" || live || !isEncoded) return 0;
  const silenceMs = Math.round(soundFromMs - startAtMs);
  return silenceMs >= LATE_SOUND_MS ? silenceMs : 0;
}

/** Returns a second input of the same source, which starts at its sound. */
function lateSoundInput(options: FfmpegArgumentsOptions, soundFromMs: number): FfmpegInputArguments {
  return sourceInput({ ...options, decodeFromMs: undefined }, Math.max(0, soundFromMs - LATE_SOUND_LEAD_MS));
}

/**
 * The longest time from the beginning of a copied video to the position, ms: the largest distance of its keyframes,
 * with a margin.
 */
const LONGEST_STEP_BACK_MS = 5000;

/**
 * Returns the input that generates a missing track. At most one track is missing, because a source has at least one.
 */
function generatedInput(plan: Plan, startAtMs: number): FfmpegInputArguments | undefined {
  const { video, audio } = plan;
  // A copied picture begins at a keyframe that may lie before the position.
  const fromMs = video.action === "copy" ? Math.max(0, startAtMs - LONGEST_STEP_BACK_MS) : startAtMs;
  const offset = fromMs > 0 ? ["-itsoffset", seconds(fromMs)] : [];
  if (video.action === "generate") {
    const size = `${video.width}x${video.height}`;
    return { source: `color=c=black:s=${size}:r=${video.fps}`, options: [...offset, "-f", "lavfi"] };
  }
  if (audio.action === "generate") {
    const layout = audio.channels === 1 ? "mono" : "stereo";
    return { source: `anullsrc=r=${audio.sampleRateHz}:cl=${layout}`, options: [...offset, "-f", "lavfi"] };
  }
  return undefined;
}

function videoOptions(video: VideoPlan, startAtMs: number, isCut: boolean): string[] {
  if (video.action === "copy") return ["-c:v", "copy"];
  const cut = isCut ? [`trim=start=${seconds(startAtMs)}`] : [];
  const filters = video.action === "generate" ? ["format=yuv420p"] : [...cut, ...pictureFilters(video, startAtMs)];
  const tags = video.action === "transcode" && video.toBt709 ? BT709_TAGS : [];
  return ["-vf", filters.join(","), ...encoderOptions(video), ...tags];
}

/** The colour tags of the output. Without them players would use those of the source. */
const BT709_TAGS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"];

/** Returns the filters of the picture. Frames are dropped before scaling, so that dropped frames are not scaled. */
function pictureFilters(video: Extract<VideoPlan, { action: "transcode" }>, startAtMs: number): string[] {
  const { width, height, picture, tempo } = video;
  const start = `${seconds(startAtMs)}/TB`;
  const padded = picture.width !== width || picture.height !== height;
  return [
    ...(video.deinterlace ? ["yadif=deint=interlaced"] : []),
    // The times are scaled around the start position, where playing time and position are equal.
    ...(tempo === 1 ? [] : [`setpts=(PTS-${start})/${tempo}+${start}`]),
    `fps=${rate(video.fps)}`,
    // Tone mapping is the most expensive filter, so it comes after scaling down.
    ...(video.tonesOf === undefined
      ? [scaled(video)]
      : [`scale=${picture.width}:${picture.height}`, ...toneFilters(video.tonesOf)]),
    ...(padded ? [`pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2:color=black`] : []),
    "setsar=1",
    "format=yuv420p",
  ];
}

function scaled({ picture, toBt709 }: Extract<VideoPlan, { action: "transcode" }>): string {
  const matrix = toBt709 ? ":in_color_matrix=bt2020:out_color_matrix=bt709" : "";
  return `scale=${picture.width}:${picture.height}${matrix}`;
}

const TRANSFERS: Readonly<Record<HdrTransfer, string>> = { PQ: "smpte2084", HLG: "arib-std-b67" };

/**
 * Converts HDR to BT.709. The picture becomes linear light in which 1 is the reference white (203 cd/m², ITU-R
 * BT.2408). Brighter values are compressed into the range above 0.3 (mobius), and the result is converted back. So skin
 * and graphics keep their brightness, and bright lights keep their outline.
 */
function toneFilters(tonesOf: HdrTransfer): string[] {
  return [
    // The three tags are set here, because a file may lack one of them.
    `setparams=color_primaries=bt2020:color_trc=${TRANSFERS[tonesOf]}:colorspace=bt2020nc`,
    "zscale=t=linear:npl=203",
    "format=gbrpf32le",
    "zscale=p=bt709",
    "tonemap=mobius",
    "zscale=t=bt709:m=bt709:r=limited",
  ];
}

/**
 * Returns the libx264 options that a room needs: no lookahead, no B-frames, and keyframes at one fixed distance only.
 */
export function encoderOptions(video: VideoTarget): string[] {
  const gop = String(Math.max(1, Math.round(video.fps * video.gopS)));
  const { bitRateKbps } = video;
  return [
    ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-bf", "0"],
    ["-g", gop, "-keyint_min", gop, "-sc_threshold", "0"],
    video.holdBitRate ? ["-b:v", `${bitRateKbps}k`] : ["-crf", "23"],
    ["-maxrate", `${bitRateKbps}k`, "-bufsize", `${bitRateKbps * 2}k`],
  ].flat();
}

interface SoundStart {
  readonly startAtMs: number;
  readonly isCut: boolean;
  readonly silenceMs: number;
}

function audioOptions(audio: AudioPlan, start: SoundStart): string[] {
  if (audio.action === "copy") return ["-c:a", "copy"];
  const { bitRateKbps, sampleRateHz, channels } = audio;
  const format = ["-c:a", "aac", "-b:a", `${bitRateKbps}k`, "-ar", String(sampleRateHz), "-ac", String(channels)];
  return audio.action === "generate" ? format : ["-af", soundFilters(audio, start).join(","), ...format];
}

function soundFilters(audio: Extract<AudioPlan, { action: "transcode" }>, start: SoundStart): string[] {
  const { volume, tempo, doubled } = audio;
  return [
    ...(start.isCut && start.silenceMs === 0 ? [`atrim=start=${seconds(start.startAtMs)}`] : []),
    // The channel is doubled by `pan`, because by default ffmpeg attenuates each of the two channels by 3 dB.
    ...(doubled ? ["pan=stereo|c0=c0|c1=c0"] : []),
    ...(start.silenceMs > 0 ? lateSoundFilters(audio, start) : onTimeFilters(audio, start)),
    ...(tempo === 1 ? [] : [`atempo=${tempo}`]),
    ...(volume === 100 ? [] : [`volume=${volume / 100}`]),
  ];
}

/**
 * Fills gaps in the source's audio with silence and cuts overlaps, so that the audio stays in sync with the picture.
 */
const WITHOUT_GAPS = "aresample=async=1";

function onTimeFilters({ tempo, sampleRateHz }: { tempo: number; sampleRateHz: number }, start: SoundStart): string[] {
  if (tempo === 1) return [WITHOUT_GAPS];
  // atempo counts from its first sample, which must be at the position where picture and sound are in sync.
  const firstSample = Math.round((start.startAtMs * sampleRateHz) / 1000);
  return [`${WITHOUT_GAPS}:out_sample_rate=${sampleRateHz}:first_pts=${firstSample}`];
}

/**
 * Delays late sound by the given silence. aresample could also fill that time, but only in one allocation: 23 MB for a
 * minute.
 */
function lateSoundFilters({ sampleRateHz }: { sampleRateHz: number }, { startAtMs, silenceMs }: SoundStart): string[] {
  return [
    `${WITHOUT_GAPS}:out_sample_rate=${sampleRateHz}`,
    `adelay=${silenceMs}:all=1`,
    `asetpts=(N/SR+${seconds(startAtMs)})/TB`,
  ];
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

function rate(fps: number): string {
  return String(Number(fps.toFixed(3)));
}
