import type { HdrTransfer } from "../../media/media-info.ts";
import type { AudioPlan } from "../plan/audio-plan.ts";
import type { Plan } from "../plan/plan.ts";
import type { VideoPlan, VideoTarget } from "../plan/video-plan.ts";
import { memoryOptions } from "./child-limits.ts";

/** Where ffmpeg reads from. */
export type FfmpegInput =
  /** A URL of the source gateway; it holds no secret. */
  | { readonly kind: "url"; readonly url: string }
  /** A byte stream on stdin. */
  | { readonly kind: "stream"; readonly format: StreamFormat };

/** ffmpeg's names of what is fed to its stdin; `any`: ffmpeg tells by its content. */
export type StreamFormat = "flv" | "matroska" | "mpegts" | "mov" | "any";

export interface FfmpegArgumentsOptions {
  readonly input: FfmpegInput;
  readonly plan: Plan;
  /** Position to start at, ms; ignored where `live`. */
  readonly startAtMs: number;
  /** Where decoding has to begin for that position, ms; undefined: where ffmpeg thinks. */
  readonly decodeFromMs?: number | undefined;
  readonly live: boolean;
  /** So much of the input is decoded and left out, ms. */
  readonly skipMs?: number | undefined;
  /**
   * A step forward that is longer is a jump of the clock, ms; 10 s unless given. Where the clock of an MPEG-TS begins
   * again, the last of its sound comes behind the first of its new pictures: to ffmpeg that is a jump back, one forward
   * and another one back. Where it passes over the one forward, the picture stands still for as long.
   */
  readonly smallestJumpMs?: number | undefined;
  /** Indexes of the tracks in the source; the first of their kind where undefined. */
  readonly videoIndex?: number | undefined;
  readonly audioIndex?: number | undefined;
  /** Position at which the sound is first heard, ms; undefined: at the beginning, or not known. */
  readonly soundFromMs?: number | undefined;
}

/** One `-i`, with the options in front of it. */
export interface FfmpegInputArguments {
  /** `pipe:0` stands for stdin. */
  readonly source: string;
  readonly options: readonly string[];
}

export interface FfmpegArguments {
  readonly inputs: readonly FfmpegInputArguments[];
  readonly outputOptions: readonly string[];
}

/**
 * Demuxers that a source may choose by its content. Left out on purpose is everything that opens other addresses by
 * itself: playlists of every kind (HLS is read in this process), concat, sdp, rtsp, image sequences.
 */
const SOURCE_FORMATS = [
  "mov,mp4,m4a,3gp,3g2,mj2",
  "matroska,webm",
  "flv,live_flv",
  "mpegts,mpeg",
  "mp3,aac,ac3,eac3,flac,wav,w64,aiff,ogg,amr,caf",
  "avi,asf,h264,hevc",
].join(",");

/** The gateway speaks plain HTTP, for which ffmpeg itself opens `tcp`. No `file`, no `https`, no `crypto`. */
const GATEWAY_PROTOCOLS = "http,tcp";

/** A read from the gateway that hangs this long fails. Longer than the gateway's own time-outs, which know the cause. */
const READ_TIMEOUT_US = 30_000_000;
/**
 * ffmpeg asks again at once, then after 1 s, and its demuxers may do so several times over. The patience is the
 * gateway's: with longer delays here an ffmpeg that waits for a source would outlive a worker that died by minutes.
 */
const RECONNECT_DELAY_MAX_S = 1;

/**
 * FLV has no negative times, and audio begins some 20 ms before the picture (the encoder's priming): without room for
 * that ffmpeg would move picture and sound by it. All timestamps of the output are later by this, ms.
 */
export const OUTPUT_SHIFT_MS = 1000;

/** How far one track may be ahead of the other before it is given all the same; the muxer's own bound is 10 s. */
const LONGEST_HOLD_US = 500_000;
/** A fragment of an MP4 file or stream holds all of one track before the other; they are seldom longer. */
const FRAGMENT_HOLD_US = 20_000_000;
/**
 * Sound that begins so much later than the picture is read through an input of its own, ms. ffmpeg writes nothing before
 * it has seen a frame of every track that it encodes: it would read, and encode, all that comes before the sound first.
 */
const LATE_SOUND_MS = 3000;
/** The input of late sound is entered so much before the sound, ms: positions in a container are not exact. */
const LATE_SOUND_LEAD_MS = 1000;

/** Options in front of a gateway URL, for ffprobe too. */
export function gatewayInputOptions(): string[] {
  return [
    memoryOptions(),
    ["-protocol_whitelist", GATEWAY_PROTOCOLS],
    ["-format_whitelist", SOURCE_FORMATS],
    ["-rw_timeout", String(READ_TIMEOUT_US)],
    // Without it a dropped connection is an end of file, with exit code 0. Not -reconnect_on_network_error: the gateway
    // takes every connection for as long as the worker lives.
    ["-reconnect", "1"],
    ["-reconnect_delay_max", String(RECONNECT_DELAY_MAX_S)],
  ].flat();
}

/** Options in front of a stream on stdin, for ffprobe too. */
export function streamInputOptions(format: StreamFormat): string[] {
  // Our own FLV starts with its headers and a keyframe, so a second of it tells all. An MPEG-TS is looked at until its
  // first table of tracks is understood; the programs would wait 5 s for tables that may come yet.
  const probing = {
    flv: ["-analyzeduration", "1000000", "-f", "flv"],
    matroska: ["-analyzeduration", "1000000", "-f", "matroska"],
    mpegts: ["-scan_all_pmts", "0", "-f", "mpegts"],
    mov: ["-f", "mov"],
    any: ["-format_whitelist", SOURCE_FORMATS],
  }[format];
  return [...memoryOptions(), "-protocol_whitelist", "pipe", ...probing];
}

/** The whole command line of a push, without the program. Pure. */
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
      // What is generated never ends by itself.
      generated === undefined ? [] : ["-shortest"],
      ["-map_metadata", "-1", "-sn", "-dn"],
      ["-output_ts_offset", seconds(OUTPUT_SHIFT_MS)],
      // Nothing is held back for a track that has stopped, or is late.
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

/** What is decoded before the position is cut away again. */
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
      // Without -copyts a seek makes its keyframe time 0; -start_at_zero takes the container's own offset away.
      ...(options.live ? [] : ["-copyts", "-start_at_zero"]),
      ...gatewayInputOptions(),
      ...(seekMs > 0 ? ["-ss", seconds(seekMs)] : []),
      // A copied picture starts at the keyframe before the position: decoded audio must start there too.
      ...(seekMs > 0 && options.plan.video.action === "copy" ? ["-noaccurate_seek"] : []),
    ],
  };
}

/** How much silence is put before sound that begins late, ms; 0 where ffmpeg waits for the sound. */
function silenceBeforeSoundMs(options: FfmpegArgumentsOptions, startAtMs: number): number {
  const { input, live, plan, soundFromMs = 0 } = options;
  const isEncoded = plan.audio.action === "transcode" && plan.video.action !== "generate";
  if (input.kind !== "url" || live || !isEncoded) return 0;
  const silenceMs = Math.round(soundFromMs - startAtMs);
  return silenceMs >= LATE_SOUND_MS ? silenceMs : 0;
}

/** The source once more, entered at its sound. */
function lateSoundInput(options: FfmpegArgumentsOptions, soundFromMs: number): FfmpegInputArguments {
  return sourceInput({ ...options, decodeFromMs: undefined }, Math.max(0, soundFromMs - LATE_SOUND_LEAD_MS));
}

/** What keyframes are apart at most in what is copied, with a little over. */
const LONGEST_STEP_BACK_MS = 5000;

/** At most one: a source has at least one track of its own. */
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

/** What the picture is told to be, or players go on by what the source said. */
const BT709_TAGS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"];

/** Frames are dropped before the others are scaled. */
function pictureFilters(video: Extract<VideoPlan, { action: "transcode" }>, startAtMs: number): string[] {
  const { width, height, picture, tempo } = video;
  const start = `${seconds(startAtMs)}/TB`;
  const padded = picture.width !== width || picture.height !== height;
  return [
    ...(video.deinterlace ? ["yadif=deint=interlaced"] : []),
    // Playing time and position are the same where it starts.
    ...(tempo === 1 ? [] : [`setpts=(PTS-${start})/${tempo}+${start}`]),
    `fps=${rate(video.fps)}`,
    // Tones are mapped after the picture was made smaller: nothing else costs as much.
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
 * From HDR to BT.709: to linear light in which 1 is the white of a page (203 cd/m², ITU-R BT.2408), what is brighter
 * bent into the rest above 0.3 (mobius), and back. So skin and graphics keep their brightness, and lamps their shape.
 */
function toneFilters(tonesOf: HdrTransfer): string[] {
  return [
    // A file may leave one of the three out.
    `setparams=color_primaries=bt2020:color_trc=${TRANSFERS[tonesOf]}:colorspace=bt2020nc`,
    "zscale=t=linear:npl=203",
    "format=gbrpf32le",
    "zscale=p=bt709",
    "tonemap=mobius",
    "zscale=t=bt709:m=bt709:r=limited",
  ];
}

/** libx264 as the room needs it: nothing looks ahead, no B-frames, keyframes at one distance and nowhere else. */
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
    // By itself ffmpeg makes each of the two channels softer by 3 dB.
    ...(doubled ? ["pan=stereo|c0=c0|c1=c0"] : []),
    ...(start.silenceMs > 0 ? lateSoundFilters(audio, start) : onTimeFilters(audio, start)),
    ...(tempo === 1 ? [] : [`atempo=${tempo}`]),
    ...(volume === 100 ? [] : [`volume=${volume / 100}`]),
  ];
}

/** Gaps and overlaps in the source's audio become silence and cuts, so that it stays with the picture. */
const WITHOUT_GAPS = "aresample=async=1";

function onTimeFilters({ tempo, sampleRateHz }: { tempo: number; sampleRateHz: number }, start: SoundStart): string[] {
  if (tempo === 1) return [WITHOUT_GAPS];
  // atempo counts from its first sample: that must be the one at the position where picture and sound are in step.
  const firstSample = Math.round((start.startAtMs * sampleRateHz) / 1000);
  return [`${WITHOUT_GAPS}:out_sample_rate=${sampleRateHz}:first_pts=${firstSample}`];
}

/** aresample could fill the time before the sound too, but only in one piece in memory: 23 MB for a minute. */
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
