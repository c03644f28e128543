import type { Canvas } from "../../media/formats.ts";
import type { HdrTransfer, VideoInfo } from "../../media/media-info.ts";
import type { OutputWishes } from "./output-wishes.ts";

/** The limits that TRTC sets for an input stream (1080p, 30 frames a second). */
const LARGEST_CANVAS: Canvas = { width: 1920, height: 1080, fps: 30 };

/** The settings for encoding the picture, or for making one if the source has no video. */
export interface VideoTarget {
  /** The width and height are even, and the size is at most 1920x1080. */
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly bitRateKbps: number;
  /** True if the bit rate is held; otherwise it is a ceiling, and the encoder aims at a constant quality. */
  readonly holdBitRate: boolean;
  /** Seconds between keyframes. */
  readonly gopS: number;
}

export type VideoPlan =
  | { readonly action: "copy" }
  | ({
      readonly action: "transcode";
      readonly deinterlace: boolean;
      /** True if the colours are HDR or BT.2020 and are converted to BT.709. */
      readonly toBt709: boolean;
      /** The HDR transfer that is tone-mapped; undefined if the source is not HDR or this ffmpeg cannot map it. */
      readonly tonesOf: HdrTransfer | undefined;
      /**
       * Size of the source's picture inside the target's picture, which is black around it. Width and height are even.
       */
      readonly picture: { readonly width: number; readonly height: number };
      readonly tempo: number;
    } & VideoTarget)
  | ({ readonly action: "generate" } & VideoTarget);

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * The difference at which two frame rates still count as equal. It covers rates such as 30000/1001 and slightly
 * inaccurate clocks.
 */
const FPS_TOLERANCE = 0.5;
/**
 * The longest distance of keyframes in a copied video, ms. TRTC recommends 1 or 2 s, because a user who joins waits for
 * the next keyframe. A wait of up to 4 s is accepted, because encoding costs ten times as much as copying. The defaults
 * of some encoders (8 to 10 s) are too long.
 */
const LONGEST_COPIED_GOP_MS = 4000;
/**
 * A bit rate or keyframe distance may exceed the requested one by this factor before the source is encoded for that
 * reason.
 */
const REQUEST_TOLERANCE = 1.1;
/** The size of the picture that is made for a source without video. It is small, because nothing moves in it. */
const GENERATED_PICTURE: Size = { width: 640, height: 360 };
const GENERATED_FPS = 15;
const GENERATED_BIT_RATE_KBPS = 300;
const FALLBACK_FPS = 30;
const GOP_S = 2;
/**
 * The longest time after the sound that a copied picture may begin, ms. Until a later picture begins, a made one is
 * shown.
 */
const LATE_PICTURE_MS = 1000;

/** Decides whether the video is copied, encoded or made, and gives the reasons why it is not copied. Pure. */
export function planVideo(
  video: VideoInfo | null,
  wishes: OutputWishes & {
    readonly toneMapping?: boolean | undefined;
    /** The time from the beginning of the sound to that of the picture, ms. */
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
    ...reasonsOfRequest(video, wishes),
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

/** Returns the reasons why no room takes the video unchanged. */
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

/** Returns the reasons why video that a room would take must still be encoded for this session or request. */
function reasonsOfRequest(video: VideoInfo, wishes: OutputWishes): string[] {
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
  if (bitRateKbps !== undefined && !((video.bitRateKbps ?? Infinity) <= bitRateKbps * REQUEST_TOLERANCE)) {
    const has = video.bitRateKbps === undefined ? "an unknown number of" : String(Math.round(video.bitRateKbps));
    reasons.push(`The video has ${has} kbit/s; ${bitRateKbps} are asked for.`);
  }
  if (gopS !== undefined && !((video.gopMs ?? Infinity) <= gopS * 1000 * REQUEST_TOLERANCE)) {
    const are = video.gopMs === null ? "at an unknown distance" : `up to ${round(video.gopMs / 1000)} s apart`;
    reasons.push(`Keyframes are ${are}; ${gopS} s are asked for.`);
  }
  if (tempo !== 1) reasons.push(`The video is played at ${tempo} times its speed.`);
  return reasons;
}

/**
 * Returns the session's size, or the requested one. A side that is not given follows the aspect ratio. The result is
 * undefined if neither the session nor the request sets a size.
 */
function wishedSize(shown: Size, { canvas, videoEncode }: OutputWishes): Size | undefined {
  if (canvas !== undefined) return evenSize(canvas);
  const { width, height } = videoEncode ?? {};
  if (width === undefined && height === undefined) return undefined;
  const shape = shown.width / shown.height;
  const wished = { width: width ?? (height ?? 0) * shape, height: height ?? (width ?? 0) / shape };
  // Two given sides are within the limits; a side that follows the aspect ratio may exceed them.
  return fitInto(wished, LARGEST_CANVAS, 1);
}

function evenSize({ width, height }: Size): Size {
  return fitInto({ width: even(width), height: even(height) }, LARGEST_CANVAS, 1);
}

function wishedFps({ videoEncode }: OutputWishes): number | undefined {
  const fps = videoEncode?.fps;
  return fps === undefined ? undefined : Math.min(fps, LARGEST_CANVAS.fps);
}

/** Returns the size that a player shows: the coded size with square pixels, after rotation. */
function shownSize(video: VideoInfo): Size {
  const width = Math.round(video.width * (video.pixelAspect ?? 1));
  return video.rotation % 180 === 0 ? { width, height: video.height } : { width: video.height, height: width };
}

/**
 * Returns the largest even size of the same aspect ratio that fits into another size, enlarged at most by the given
 * factor.
 */
function fitInto(size: Size, room: Size, largestScale: number): Size {
  const scale = Math.min(largestScale, room.width / size.width, room.height / size.height);
  return { width: even(size.width * scale), height: even(size.height * scale) };
}

/**
 * Returns the size of the picture inside the target. The picture fills the target if the aspect ratios differ only by
 * rounding, so that no black line is left at an edge.
 */
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

/** Halves a high frame rate if the half is usable (60 → 30, 50 → 25), so that exactly every second frame is dropped. */
function fittingFps(fps: number | null, highest: number): number {
  if (fps === null || fps <= 0) return Math.min(FALLBACK_FPS, highest);
  if (fps <= highest + FPS_TOLERANCE) return Math.min(fps, LARGEST_CANVAS.fps);
  const half = fps / 2;
  return half <= highest && half >= highest * 0.8 ? half : highest;
}

/**
 * Returns about 0.1 bit per pixel: 2.6 Mbit/s at 720p30, 5.9 at 1080p30. This is a ceiling, because x264 aims at a
 * quality.
 */
function bitRateFor(width: number, height: number, fps: number): number {
  return Math.max(300, Math.round((width * height * fps * 0.095) / 1000));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
