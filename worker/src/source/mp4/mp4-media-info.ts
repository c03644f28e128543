import { reordersFrames } from "../../media/codec/sps.ts";
import { audioInfoOf, videoInfoOf } from "../../media/codec/track-info.ts";
import type { AudioInfo, MediaInfo, VideoInfo } from "../../media/media-info.ts";
import type { AudioTrack, Movie, VideoTrack } from "./movie.ts";

/** Describes a movie for the plan, with the same values as ffprobe. Pure; it takes constant time. */
export function mediaInfoOf(movie: Movie): MediaInfo {
  const { durationMs, video, audio, choices } = movie;
  return {
    container: "mov,mp4,m4a,3gp,3g2,mj2",
    durationMs,
    video: video === null ? null : videoOf(video),
    audio: audio === null ? null : audioOf(audio),
    ...(choices.length === 0 ? {} : { choices }),
  };
}

function videoOf(track: VideoTrack): VideoInfo {
  const { samples, timescale, description, rotation } = track;
  const { config, pixelAspect: containerAspect } = description;
  const info = videoInfoOf(config);
  const pixelAspect = containerAspect ?? info.pixelAspect ?? 1;
  return {
    ...info,
    fps: samples.duration === 0 ? info.fps : (samples.sampleCount * timescale) / samples.duration,
    // If all composition offsets are equal, no frame is reordered, even if the SPS does not say so.
    hasBFrames: samples.minComposition !== samples.maxComposition || reordersFrames(config.sps) === true,
    gopMs: (samples.longestGop * 1000) / timescale,
    rotation,
    pixelAspect,
    squarePixels: pixelAspect === 1,
    ...timingOf(track),
  };
}

function audioOf(track: AudioTrack): AudioInfo {
  return { ...audioInfoOf(track.description.config), ...timingOf(track) };
}

function timingOf({ samples, timescale, startMs, uncopyable }: VideoTrack | AudioTrack) {
  const bits = samples.bytes * 8;
  return {
    // The average bit rate, or 0 for a track without a duration.
    bitRateKbps: samples.duration === 0 ? 0 : (bits * timescale) / samples.duration / 1000,
    ...(startMs > 0 ? { startMs } : {}),
    ...(uncopyable === undefined ? {} : { uncopyable }),
  };
}
