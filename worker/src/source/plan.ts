import type { PlanSummary } from "@roomcast/shared";
import type { AudioInfo, MediaInfo, VideoInfo } from "./media-info.ts";
import type { AudioFormat, Canvas } from "./output-wishes.ts";

export type { Canvas } from "./output-wishes.ts";

/** What TRTC allows an input stream (1080p, 30 frames a second). */
export const LARGEST_CANVAS: Canvas = { width: 1920, height: 1080, fps: 30 };

/** How a picture is encoded, or made where there is none. */
export interface VideoTarget {
  /** Both even, inside the canvas. */
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly bitRateKbps: number;
}

export type VideoPlan =
  | { readonly action: "copy" }
  | ({ readonly action: "transcode"; readonly deinterlace: boolean } & VideoTarget)
  | ({ readonly action: "generate" } & VideoTarget);

export type AudioPlan =
  | { readonly action: "copy" }
  | { readonly action: "transcode"; readonly sampleRateHz: number; readonly channels: number }
  | { readonly action: "generate"; readonly sampleRateHz: number; readonly channels: number };

export interface Plan {
  readonly video: VideoPlan;
  readonly audio: AudioPlan;
  /** Sentences that say why a track is not copied; empty when both are. */
  readonly reasons: readonly string[];
}

export interface PlanOptions {
  readonly canvas?: Canvas;
}

/** Frame rates such as 30000/1001 and clocks that are a little off are still the canvas's. */
const FPS_TOLERANCE = 0.5;
/**
 * A room's backend is told 1 or 2 s, and somebody who joins waits for the next keyframe. Up to 4 s that wait is
 * bearable and encoding anew costs ten times as much as copying; encoders' defaults beyond it (8 to 10 s) are not.
 */
const LONGEST_COPIED_GOP_MS = 4000;
const AUDIO_SAMPLE_RATES = [44_100, 48_000];
const ENCODED_AUDIO = { sampleRateHz: 48_000, channels: 2 } as const;
/** For a source without video: small, because nothing moves in it. */
const GENERATED_PICTURE: VideoTarget = { width: 640, height: 360, fps: 15, bitRateKbps: 300 };
const FALLBACK_FPS = 30;

/**
 * Decides what is copied into the room, what is encoded anew and what is made because the source lacks it. Pure.
 *
 * @throws never; a source with neither track gives a plan that generates both, which callers refuse beforehand.
 */
export function planPush(media: MediaInfo, options: PlanOptions = {}): Plan {
  const canvas = options.canvas ?? LARGEST_CANVAS;
  const videoReasons =
    media.video === null ? ["There is no video: a picture is made."] : videoProblems(media.video, canvas);
  const audioReasons = media.audio === null ? ["There is no audio: silence is made."] : audioProblems(media.audio);
  return {
    video: planVideo(media.video, videoReasons, canvas),
    audio: planAudio(media.audio, audioReasons),
    reasons: [...videoReasons, ...audioReasons],
  };
}

/** Whether nothing of the source is decoded or made. Pure. */
export function copiesAll(plan: Plan): boolean {
  return plan.video.action === "copy" && plan.audio.action === "copy";
}

/** A plan as reports carry it. Pure. */
export function toSummary(plan: Plan): PlanSummary {
  return { video: plan.video.action, audio: plan.audio.action, reasons: plan.reasons.slice(0, 20) };
}

/** The size and frame rate that the room sees. Pure. */
export function plannedPicture(media: MediaInfo, plan: Plan): { width: number; height: number; fps: number | null } {
  if (plan.video.action !== "copy") return plan.video;
  const { video } = media;
  return video === null
    ? { width: 0, height: 0, fps: null }
    : { width: video.width, height: video.height, fps: video.fps };
}

/** The audio that the room hears. Pure. */
export function plannedAudio(media: MediaInfo, plan: Plan): AudioFormat {
  const { sampleRateHz, channels } = plan.audio.action === "copy" ? (media.audio ?? ENCODED_AUDIO) : plan.audio;
  return { sampleRateHz, channels };
}

function planVideo(video: VideoInfo | null, problems: readonly string[], canvas: Canvas): VideoPlan {
  if (video === null) {
    const { width, height } = fitInto(GENERATED_PICTURE, canvas);
    return { action: "generate", ...GENERATED_PICTURE, width, height };
  }
  if (problems.length === 0) return { action: "copy" };
  const { width, height } = fitInto(shownSize(video), canvas);
  const fps = fittingFps(video.fps, canvas.fps);
  return {
    action: "transcode",
    deinterlace: video.interlaced,
    width,
    height,
    fps,
    bitRateKbps: bitRateFor(width, height, fps),
  };
}

function planAudio(audio: AudioInfo | null, problems: readonly string[]): AudioPlan {
  if (audio === null) return { action: "generate", ...ENCODED_AUDIO };
  return problems.length === 0 ? { action: "copy" } : { action: "transcode", ...ENCODED_AUDIO };
}

function videoProblems(video: VideoInfo, canvas: Canvas): string[] {
  const { width, height } = shownSize(video);
  const reasons: string[] = [];
  if (video.codec !== "h264") reasons.push(`The video is ${video.codec}; rooms take H.264.`);
  if (video.pixelFormat !== null && !["yuv420p", "yuvj420p"].includes(video.pixelFormat)) {
    reasons.push(`The pixel format is ${video.pixelFormat}; rooms take yuv420p.`);
  }
  if (video.hasBFrames) reasons.push("The video has B-frames, which rooms do not carry.");
  if (width > canvas.width || height > canvas.height) {
    reasons.push(`The picture is ${width}x${height}, larger than ${canvas.width}x${canvas.height}.`);
  }
  if (video.fps !== null && video.fps > canvas.fps + FPS_TOLERANCE) {
    reasons.push(`The video has ${round(video.fps)} frames a second, more than ${canvas.fps}.`);
  }
  if (video.gopMs !== null && video.gopMs > LONGEST_COPIED_GOP_MS) {
    reasons.push(
      `Keyframes are up to ${round(video.gopMs / 1000)} s apart, more than ${LONGEST_COPIED_GOP_MS / 1000} s.`,
    );
  }
  if (video.rotation !== 0) reasons.push(`The picture is to be turned by ${video.rotation} degrees.`);
  if (!video.squarePixels) reasons.push("The pixels are not square.");
  if (video.interlaced) reasons.push("The video is interlaced.");
  return reasons;
}

function audioProblems(audio: AudioInfo): string[] {
  const reasons: string[] = [];
  if (audio.codec !== "aac") reasons.push(`The audio is ${audio.codec}; rooms take AAC.`);
  if (audio.channels > 2) reasons.push(`The audio has ${audio.channels} channels, more than 2.`);
  if (!AUDIO_SAMPLE_RATES.includes(audio.sampleRateHz)) {
    reasons.push(`The audio is sampled at ${audio.sampleRateHz} Hz, neither 44100 nor 48000.`);
  }
  return reasons;
}

/** The coded size with its pixels made square and turned, as a player shows it. */
function shownSize(video: VideoInfo): { width: number; height: number } {
  const width = Math.round(video.width * (video.pixelAspect ?? 1));
  return video.rotation % 180 === 0 ? { width, height: video.height } : { width: video.height, height: width };
}

/** The largest even size of the same shape that the canvas holds; a picture is never made larger. */
function fitInto(size: { width: number; height: number }, canvas: Canvas): { width: number; height: number } {
  const scale = Math.min(1, canvas.width / size.width, canvas.height / size.height);
  return { width: even(size.width * scale), height: even(size.height * scale) };
}

function even(pixels: number): number {
  return Math.max(2, Math.round(pixels / 2) * 2);
}

/** Halves a high frame rate where that gives a fair one (60 → 30, 50 → 25), so that every second frame goes evenly. */
function fittingFps(fps: number | null, highest: number): number {
  if (fps === null || fps <= 0) return Math.min(FALLBACK_FPS, highest);
  if (fps <= highest + FPS_TOLERANCE) return fps;
  const half = fps / 2;
  return half <= highest && half >= highest * 0.8 ? half : highest;
}

/** About 0.1 bit a pixel: 2.6 Mbit/s at 720p30, 5.9 at 1080p30; a ceiling, quality is what x264 aims at. */
function bitRateFor(width: number, height: number, fps: number): number {
  return Math.max(300, Math.round((width * height * fps * 0.095) / 1000));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
