import type { Canvas } from "../../media/formats.ts";
import type { HdrTransfer, VideoInfo } from "../../media/media-info.ts";
import type { OutputWishes } from "./output-wishes.ts";

/** What TRTC allows an input stream (1080p, 30 frames a second). */
const LARGEST_CANVAS: Canvas = { width: 1920, height: 1080, fps: 30 };

/** How a picture is encoded, or made where there is none. */
export interface VideoTarget {
  /** Both even, at most 1920x1080. */
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly bitRateKbps: number;
  /** Whether that bit rate is held; else it is a ceiling, and quality is what the encoder aims at. */
  readonly holdBitRate: boolean;
  /** Seconds between keyframes. */
  readonly gopS: number;
}

export type VideoPlan =
  | { readonly action: "copy" }
  | ({
      readonly action: "transcode";
      readonly deinterlace: boolean;
      /** The colours are those of HDR or BT.2020 and become BT.709. */
      readonly toBt709: boolean;
      /** Whose tones are mapped to those of ordinary screens; undefined: it is no HDR, or this ffmpeg cannot. */
      readonly tonesOf: HdrTransfer | undefined;
      /** Size of the source's picture inside the target's; what is left around it is black. Both even. */
      readonly picture: { readonly width: number; readonly height: number };
      readonly tempo: number;
    } & VideoTarget)
  | ({ readonly action: "generate" } & VideoTarget);

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Frame rates such as 30000/1001 and clocks that are a little off are still what was meant. */
const FPS_TOLERANCE = 0.5;
/**
 * A room's backend is told 1 or 2 s, and somebody who joins waits for the next keyframe. Up to 4 s that wait is
 * bearable and encoding anew costs ten times as much as copying; encoders' defaults beyond it (8 to 10 s) are not.
 */
const LONGEST_COPIED_GOP_MS = 4000;
/** By so much a source may pass a wished bit rate or distance of keyframes before it is encoded for that. */
const WISH_TOLERANCE = 1.1;
/** For a source without video: small, because nothing moves in it. */
const GENERATED_PICTURE: Size = { width: 640, height: 360 };
const GENERATED_FPS = 15;
const GENERATED_BIT_RATE_KBPS = 300;
const FALLBACK_FPS = 30;
const GOP_S = 2;
/** Later than this behind the sound a picture is waited for with a made one. */
const LATE_PICTURE_MS = 1000;

/** What becomes of the video, and the sentences that say why it is not copied. Pure. */
export function planVideo(
  video: VideoInfo | null,
  wishes: OutputWishes & {
    readonly toneMapping?: boolean | undefined;
    /** How long after the sound the picture begins, ms. */
    readonly lateMs?: number;
  },
): { readonly plan: VideoPlan; readonly reasons: readonly string[] } {
  if (video === null) {
    return { plan: generated(wishes), reasons: ["There is no video: a picture is made."] };
  }
  const { toneMapping = true, lateMs = 0 } = wishes;
  const reasons = [
    ...mustBeEncoded(video),
    ...foreignColours(video, toneMapping),
    ...isWishedOtherwise(video, wishes),
    ...(lateMs > LATE_PICTURE_MS ? [`The picture begins ${round(lateMs / 1000)} s after the sound.`] : []),
  ];
  const tonesOf = toneMapping ? video.hdr : undefined;
  return { plan: reasons.length === 0 ? { action: "copy" } : { ...encoded(video, wishes), tonesOf }, reasons };
}

function generated(wishes: OutputWishes): VideoPlan {
  const { width, height } = wishedSize(GENERATED_PICTURE, wishes) ?? GENERATED_PICTURE;
  const fps = wishedFps(wishes) ?? GENERATED_FPS;
  const gopS = wishes.videoEncode?.gopS ?? GOP_S;
  return { action: "generate", width, height, fps, bitRateKbps: GENERATED_BIT_RATE_KBPS, holdBitRate: false, gopS };
}

function encoded(video: VideoInfo, wishes: OutputWishes): Omit<Extract<VideoPlan, { action: "transcode" }>, "tonesOf"> {
  const { videoEncode, tempo = 1 } = wishes;
  const shown = shownSize(video);
  const size = wishedSize(shown, wishes) ?? fitInto(shown, LARGEST_CANVAS, 1);
  const fps = wishedFps(wishes) ?? fittingFps(video.fps === null ? null : video.fps * tempo, LARGEST_CANVAS.fps);
  return {
    action: "transcode",
    deinterlace: video.interlaced,
    toBt709: video.wideColours === true,
    picture: pictureIn(shown, size),
    tempo,
    ...size,
    fps,
    bitRateKbps: videoEncode?.bitRateKbps ?? bitRateFor(size.width, size.height, fps),
    holdBitRate: videoEncode?.bitRateKbps !== undefined,
    gopS: videoEncode?.gopS ?? GOP_S,
  };
}

/** Why the video does not fit any room. */
function mustBeEncoded(video: VideoInfo): string[] {
  const { width, height } = shownSize(video);
  const { width: maxWidth, height: maxHeight, fps: maxFps } = LARGEST_CANVAS;
  const reasons: string[] = [];
  if (video.codec !== "h264") reasons.push(`The video is ${video.codec}; rooms take H.264.`);
  if (video.pixelFormat !== null && !["yuv420p", "yuvj420p"].includes(video.pixelFormat)) {
    reasons.push(`The pixel format is ${video.pixelFormat}; rooms take yuv420p.`);
  }
  if (video.openGops === true) reasons.push("The video has no IDR pictures, which rooms begin with.");
  if (video.hasBFrames) reasons.push("The video has B-frames, which rooms do not carry.");
  if (width > maxWidth || height > maxHeight) {
    reasons.push(`The picture is ${width}x${height}, larger than ${maxWidth}x${maxHeight}.`);
  }
  if (video.fps !== null && video.fps > maxFps + FPS_TOLERANCE) {
    reasons.push(`The video has ${round(video.fps)} frames a second, more than ${maxFps}.`);
  }
  if (video.gopMs !== null && video.gopMs > LONGEST_COPIED_GOP_MS) {
    reasons.push(
      `Keyframes are up to ${round(video.gopMs / 1000)} s apart, more than ${LONGEST_COPIED_GOP_MS / 1000} s.`,
    );
  }
  if (video.uncopyable !== undefined) reasons.push(video.uncopyable);
  if (video.rotation !== 0) reasons.push(`The picture is to be turned by ${video.rotation} degrees.`);
  if (!video.squarePixels) reasons.push("The pixels are not square.");
  if (video.interlaced) reasons.push("The video is interlaced.");
  return reasons;
}

function foreignColours(video: VideoInfo, toneMapping: boolean): string[] {
  if (video.hdr === undefined) {
    return video.wideColours === true ? ["The colours are BT.2020; rooms take BT.709."] : [];
  }
  const becomes = toneMapping
    ? "they are tone-mapped."
    : "they are only converted and look pale, because this worker's ffmpeg has no zscale and tonemap.";
  return [`The colours are HDR (${video.hdr}); rooms take BT.709: ${becomes}`];
}

/** Why the video would fit a room, but not this session. */
function isWishedOtherwise(video: VideoInfo, wishes: OutputWishes): string[] {
  const { canvas, tempo = 1, videoEncode } = wishes;
  const shown = shownSize(video);
  const size = wishedSize(shown, wishes);
  const reasons: string[] = [];
  if (canvas !== undefined && !sameSize(shown, canvas)) {
    reasons.push(`The picture is ${named(shown)}; the session's is ${named(canvas)}.`);
  } else if (canvas === undefined && size !== undefined && !sameSize(shown, size)) {
    reasons.push(`The picture is ${named(shown)}; ${named(size)} is asked for.`);
  }
  const fps = wishedFps(wishes);
  if (fps !== undefined && (video.fps === null || Math.abs(video.fps - fps) > FPS_TOLERANCE)) {
    const has = video.fps === null ? "an unknown number of" : String(round(video.fps));
    reasons.push(`The video has ${has} frames a second; ${round(fps)} are asked for.`);
  }
  const { bitRateKbps, gopS } = videoEncode ?? {};
  if (bitRateKbps !== undefined && !((video.bitRateKbps ?? Infinity) <= bitRateKbps * WISH_TOLERANCE)) {
    const has = video.bitRateKbps === undefined ? "an unknown number of" : String(Math.round(video.bitRateKbps));
    reasons.push(`The video has ${has} kbit/s; ${bitRateKbps} are asked for.`);
  }
  if (gopS !== undefined && !((video.gopMs ?? Infinity) <= gopS * 1000 * WISH_TOLERANCE)) {
    const are = video.gopMs === null ? "at an unknown distance" : `up to ${round(video.gopMs / 1000)} s apart`;
    reasons.push(`Keyframes are ${are}; ${gopS} s are asked for.`);
  }
  if (tempo !== 1) reasons.push(`The video is played at ${tempo} times its speed.`);
  return reasons;
}

/** The session's size, or the one that is asked for; a side that is not given follows the shape. undefined: any. */
function wishedSize(shown: Size, { canvas, videoEncode }: OutputWishes): Size | undefined {
  if (canvas !== undefined) return evenSize(canvas);
  const { width, height } = videoEncode ?? {};
  if (width === undefined && height === undefined) return undefined;
  const shape = shown.width / shown.height;
  const wished = { width: width ?? (height ?? 0) * shape, height: height ?? (width ?? 0) / shape };
  // Where both are given they are within the limits; a side that follows the shape may not be.
  return fitInto(wished, LARGEST_CANVAS, 1);
}

function evenSize({ width, height }: Size): Size {
  return fitInto({ width: even(width), height: even(height) }, LARGEST_CANVAS, 1);
}

function wishedFps({ videoEncode }: OutputWishes): number | undefined {
  const fps = videoEncode?.fps;
  return fps === undefined ? undefined : Math.min(fps, LARGEST_CANVAS.fps);
}

/** The coded size with its pixels made square and turned, as a player shows it. */
function shownSize(video: VideoInfo): Size {
  const width = Math.round(video.width * (video.pixelAspect ?? 1));
  return video.rotation % 180 === 0 ? { width, height: video.height } : { width: video.height, height: width };
}

/** The largest even size of the same shape inside another one, enlarged at most by a factor. */
function fitInto(size: Size, room: Size, largestScale: number): Size {
  const scale = Math.min(largestScale, room.width / size.width, room.height / size.height);
  return { width: even(size.width * scale), height: even(size.height * scale) };
}

/** Fills the size where the shapes are the same but for rounding: no black line beside the picture. */
function pictureIn(shown: Size, size: Size): Size {
  const { width, height } = fitInto(shown, size, Infinity);
  return size.width - width <= 2 && size.height - height <= 2 ? size : { width, height };
}

function even(pixels: number): number {
  return Math.max(2, Math.round(pixels / 2) * 2);
}

function sameSize(a: Size, b: Size): boolean {
  return a.width === b.width && a.height === b.height;
}

function named({ width, height }: Size): string {
  return `${width}x${height}`;
}

/** Halves a high frame rate where that gives a fair one (60 → 30, 50 → 25), so that every second frame goes evenly. */
function fittingFps(fps: number | null, highest: number): number {
  if (fps === null || fps <= 0) return Math.min(FALLBACK_FPS, highest);
  if (fps <= highest + FPS_TOLERANCE) return Math.min(fps, LARGEST_CANVAS.fps);
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
