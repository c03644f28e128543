import type { PushRequest } from "@roomcast/shared";
import type { AudioFormat, Canvas } from "../../media/formats.ts";
import type { AudioTrackWish } from "./track-choice.ts";

/** VideoEncodeParams of a request. What is not given follows the source. */
export interface VideoEncode {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly fps?: number | undefined;
  readonly bitRateKbps?: number | undefined;
  /** Seconds between keyframes. */
  readonly gopS?: number | undefined;
}

/** AudioEncodeParams of a request, without their loudness (see `OutputWishes.volume`). */
export interface AudioEncode {
  readonly sampleRateHz?: number | undefined;
  readonly channels?: number | undefined;
  readonly bitRateKbps?: number | undefined;
}

/**
 * What a source shall come out as. Where the source is that already it is copied, else transcoded to it; what is not
 * given follows the source, within what rooms take.
 */
export interface OutputWishes {
  /**
   * The session's picture. Every source is shown in exactly this size: a picture of another size is scaled, its shape
   * kept, with black around it. Frame rates are left to the sources: they may change inside a session, and a film at 24
   * frames a second must not make the sport after it jerk.
   */
  readonly canvas?: Pick<Canvas, "width" | "height"> | undefined;
  /** The session's sound: audio of another sample rate or number of channels is encoded to it. */
  readonly audioFormat?: AudioFormat | undefined;
  /** Loudness in percent; 100, the default, leaves the audio as it is, 0 is silence. */
  readonly volume?: number | undefined;
  /** How fast it is played, from 0.5 to 2, its pitch kept; a live source is always played at 1. */
  readonly tempo?: number | undefined;
  readonly videoEncode?: VideoEncode | undefined;
  readonly audioEncode?: AudioEncode | undefined;
  /** The sound to play: a language (`en`, `eng`, `zh-Hans`), or a number among the audio tracks, from 1. */
  readonly audioTrack?: AudioTrackWish | undefined;
  /** Of a source in several sizes (an HLS ladder) the best one that is not higher than so many lines is played. */
  readonly maxHeight?: number | undefined;
}

/**
 * What a request wishes. Its two loudnesses multiply: `Volume` is how loud this push is in the room, and may change
 * while it runs; `AudioEncodeParams.Volume` corrects recordings that are too quiet or too loud. Pure.
 */
export function wishesOf(
  request: Pick<PushRequest, "VideoEncodeParams" | "AudioEncodeParams"> & {
    readonly Volume?: number | undefined;
    readonly Tempo?: number | undefined;
    readonly AudioTrack?: AudioTrackWish | undefined;
  },
): Omit<OutputWishes, "canvas" | "audioFormat"> {
  const { Volume = 100, Tempo = 1, VideoEncodeParams: video, AudioEncodeParams: audio } = request;
  return {
    volume: (Volume * (audio?.Volume ?? 100)) / 100,
    tempo: Tempo,
    videoEncode: video && {
      width: video.Width,
      height: video.Height,
      fps: video.Fps,
      bitRateKbps: video.BitRate,
      gopS: video.Gop,
    },
    audioEncode: audio && { sampleRateHz: audio.SampleRate, channels: audio.Channel, bitRateKbps: audio.BitRate },
    ...(request.AudioTrack === undefined ? {} : { audioTrack: request.AudioTrack }),
  };
}
