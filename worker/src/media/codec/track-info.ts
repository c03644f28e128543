import type { AudioInfo, VideoInfo } from "../media-info.ts";
import type { AacConfig } from "./aac-config.ts";
import type { AvcConfig } from "./avc-config.ts";
import { pixelFormatOf, reordersFrames } from "./sps.ts";

/**
 * What an AVC configuration tells of a video track. The rest (distance of keyframes, rotation) is the container's to say,
 * which may also know better about the frame rate and B-frames: an SPS that is silent about reordering counts as having
 * B-frames, because nothing excludes them.
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

/** What an AAC config tells of an audio track: as it is heard. */
export function audioInfoOf(config: AacConfig): AudioInfo {
  return { codec: "aac", channels: config.channels, sampleRateHz: config.sampleRateHz };
}
