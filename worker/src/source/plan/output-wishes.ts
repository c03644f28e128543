import type { PushRequest } from "@roomcast/shared";
import type { AudioFormat, Canvas } from "../../media/formats.ts";
import type { AudioTrackChoice } from "./track-choice.ts";

/** VideoEncodeParams of a request. A value that is not given follows the source. */
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
 * The format in which a source is sent to the room. A source that already has this format is copied; any other source
 * is transcoded. A value that is not given follows the source, within the limits of rooms.
 */
export interface OutputWishes {
  /**
   * The session's picture size. A picture of another size is scaled into it; its aspect ratio is kept and the rest is
   * black. The frame rate follows each source and may change inside a session. Otherwise, after a film at 24 frames a
   * second, sport would jerk.
   */
  readonly canvas?: Pick<Canvas, "width" | "height"> | undefined;
  /** The session's audio format. Audio of another sample rate or number of channels is encoded to it. */
  readonly audioFormat?: AudioFormat | undefined;
  /** Loudness in percent: 100, the default, leaves the audio unchanged, and 0 is silence. */
  readonly volume?: number | undefined;
  /** The speed of playing, from 0.5 to 2, with the pitch kept. A live source is always played at 1. */
  readonly tempo?: number | undefined;
  readonly videoEncode?: VideoEncode | undefined;
  readonly audioEncode?: AudioEncode | undefined;
  /** The audio track to play: a language (`en`, `eng`, `zh-Hans`), or a number among the audio tracks, from 1. */
  readonly audioTrack?: AudioTrackChoice | undefined;
  /**
   * The greatest height in lines. If a source has several sizes (an HLS ladder), the best one within this height is
   * played.
   */
  readonly maxHeight?: number | undefined;
}

/**
 * Returns the output format that a request asks for. The two volumes of a request are multiplied: `Volume` is the
 * loudness of this push in the room and may change while it runs; `AudioEncodeParams.Volume` corrects a recording that
 * is too quiet or too loud. Pure.
 */
export function wishesOf(
  request: Pick<PushRequest, "VideoEncodeParams" | "AudioEncodeParams"> & {
    readonly Volume?: number | undefined;
    readonly Tempo?: number | undefined;
    readonly AudioTrack?: AudioTrackChoice | undefined;
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
