import { reordersFrames } from "../../codec/sps.ts";
import { audioInfoOf, videoInfoOf } from "../../codec/track-info.ts";
import type { MediaInfo, VideoInfo } from "../media-info.ts";
import { longestGopMs } from "./layout.ts";
import type { AudioTrack, Movie, VideoTrack } from "./movie.ts";
import { SampleCursor } from "./sample-cursor.ts";

/** A movie as the plan wants to see it, and as ffprobe sees it. Pure. */
export function mediaInfoOf(movie: Movie): MediaInfo {
  return {
    container: "mov,mp4,m4a,3gp,3g2,mj2",
    durationMs: movie.durationMs,
    video: movie.video === null ? null : videoOf(movie.video),
    audio:
      movie.audio === null
        ? null
        : { ...audioInfoOf(movie.audio.description.config), bitRateKbps: bitRateOf(movie.audio) },
  };
}

function videoOf(track: VideoTrack): VideoInfo {
  const { table, timescale, description, rotation } = track;
  const { config, pixelAspect: containerAspect } = description;
  const info = videoInfoOf(config);
  const pixelAspect = containerAspect ?? info.pixelAspect ?? 1;
  return {
    ...info,
    fps: table.duration === 0 ? info.fps : (table.sampleCount * timescale) / table.duration,
    // Where presentation keeps its distance to decoding, no frame is reordered, though the SPS may be silent about it.
    hasBFrames: table.minComposition !== table.maxComposition || reordersFrames(config.sps) === true,
    gopMs: longestGopMs(track),
    rotation,
    pixelAspect,
    squarePixels: pixelAspect === 1,
    bitRateKbps: bitRateOf(track),
  };
}

/** Kbit/s on average; 0 for a track of no duration. */
function bitRateOf({ table, timescale }: VideoTrack | AudioTrack): number {
  if (table.duration === 0) return 0;
  let bytes = 0;
  for (const cursor = new SampleCursor(table); !cursor.done; cursor.advance()) bytes += cursor.size;
  return (bytes * 8 * timescale) / table.duration / 1000;
}
