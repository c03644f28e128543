import type { AudioInfo, VideoInfo } from "../media-info.ts";
import type { AacConfig } from "./aac-config.ts";
import type { AvcConfig } from "./avc-config.ts";
import { pixelFormatOf, reordersFrames } from "./sps.ts";

/**
 * Returns the properties of a video track that its AVC configuration contains. The others (distance of keyframes,
 * rotation) come from the container, which may also know the frame rate and B-frames better. An SPS without reordering
 * information counts as having B-frames, because nothing excludes them.
 */
export function videoInfoOf(config: AvcConfig): VideoInfo {
  const { sps } = config;
  const [parWidth, parHeight] = sps.vui.sampleAspectRatio ?? [1, 1];
  return {
    codec: "h264",
    width: sps.width,
    height: sps.height,
    fps: sps.vui.fps,
    pixelFormat: pixelFormatOf(sps),
    hasBFrames: reordersFrames(sps) ?? true,
    gopMs: null,
    rotation: 0,
    squarePixels: parWidth === parHeight,
    pixelAspect: parWidth / parHeight,
    interlaced: !sps.frameMbsOnly,
  };
}

/** Returns the properties of an audio track as it is heard, from its AAC config. */
export function audioInfoOf(config: AacConfig): AudioInfo {
  return { codec: "aac", channels: config.channels, sampleRateHz: config.sampleRateHz };
}
