import type { AudioInfo, VideoInfo } from "../media-info.ts";
import type { AacConfig } from "./aac-config.ts";
import type { AvcConfig } from "./avc-config.ts";
import { pixelFormatOf, reordersFrames } from "./sps.ts";

/**
 * Returns the properties of a video track that its AVC configuration contains. Other properties (distance of keyframes,
 * rotation) come from the container, which may also know better about the frame rate and B-frames. If the SPS has no reordering
 * information, the track is assumed to have B-frames, because it may have some.
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

/** Returns the properties of the decoded sound of an audio track, by its AAC config. */
export function audioInfoOf(config: AacConfig): AudioInfo {
  return { codec: "aac", channels: config.channels, sampleRateHz: config.sampleRateHz };
}
