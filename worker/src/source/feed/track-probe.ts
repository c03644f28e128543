import { parseAacConfig } from "../../media/codec/aac-config.ts";
import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import { CodecError } from "../../media/codec/codec-error.ts";
import { reordersFrames } from "../../media/codec/sps.ts";
import { audioInfoOf, videoInfoOf } from "../../media/codec/track-info.ts";
import { tagDataOffset } from "../../media/flv/flv-tag.ts";
import type { AudioInfo, VideoInfo } from "../../media/media-info.ts";
import { codecOf, type FedTag } from "./fed-tag.ts";
import type { Announcement } from "./tag-feed.ts";

/** The longest wait for a second track after the first one, in ms of media time or real time. */
const TRACK_WAIT_MS = 1500;
/** The longest wait for a track that the stream announces or has begun. */
const ANNOUNCED_TRACK_WAIT_MS = 5000;
/** The number of pictures to check for B-frames if the SPS does not declare them. */
const FRAMES_TO_JUDGE = 16;
/** The assumed size of a picture of unknown size. */
const FALLBACK_SIZE = { width: 1280, height: 720 };
/** SoundRate of AudioTagHeader (Adobe FLV 10.1, E.4.2.1). */
const SOUND_RATES_HZ = [5512, 11_025, 22_050, 44_100];

export type ProbeVerdict =
  | { readonly name: "wait"; readonly missing: string }
  /** The tracks are decided. The first keyframe of the video may still be missing. */
  | { readonly name: "ready"; readonly tracks: FedTracks };

/** The known tracks of a feed. */
export interface FedTracks {
  readonly video: VideoInfo | null;
  readonly audio: AudioInfo | null;
  /** True after a keyframe has come, so that the picture can be shown. */
  readonly pictureHere: boolean;
}

interface SeenVideo {
  readonly codec: string;
  /** Read from the sequence header; null if that is missing or unreadable. */
  info: VideoInfo | null;
  /** Read from the SPS; null if the SPS does not declare it. */
  reorders: boolean | null;
  headerSeen: boolean;
  keyframeSeen: boolean;
  openGops: boolean;
  frames: number;
  offsetSeen: boolean;
}

interface SeenAudio {
  readonly codec: string;
  info: AudioInfo | null;
}

/** Detects the tracks of a feed by its tags; it may begin at any point of the stream. It does no I/O. */
export class TrackProbe {
  #video: SeenVideo | null = null;
  #audio: SeenAudio | null = null;
  #announced: Announcement = {};
  #firstMs: number | null = null;
  #spanMs = 0;

  announce(announcement: Announcement): void {
    this.#announced = { ...this.#announced, ...announcement };
  }

  observe(tag: FedTag): void {
    if (!tag.sequenceHeader) this.#measure(tag.dtsMs);
    if (tag.kind === "video") this.#observeVideo(tag);
    else this.#observeAudio(tag);
  }

  /**
   * @param elapsedMs since the first tag
   * @param ended true if no more tags will come
   */
  verdict(elapsedMs: number, ended = false): ProbeVerdict {
    const waitedMs = ended ? Number.POSITIVE_INFINITY : Math.max(elapsedMs, this.#spanMs);
    const missing = [this.#missingVideo(waitedMs), this.#missingAudio(waitedMs)].filter((what) => what !== null);
    if (missing.length > 0) return { name: "wait", missing: missing.join(" and ") };
    if (this.#video === null && this.#audio === null) return { name: "wait", missing: "audio and video" };
    const { tracks } = this;
    // Tracks whose header never came cannot be played.
    if (tracks.video === null && tracks.audio === null) return { name: "wait", missing: "a sequence header" };
    return { name: "ready", tracks };
  }

  get tracks(): FedTracks {
    return {
      video: this.#videoInfo(),
      audio: this.#audio?.info ?? null,
      pictureHere: this.#video?.keyframeSeen === true,
    };
  }

  /** The announced reasons about the choice of tracks. */
  get reasons(): readonly string[] {
    return this.#announced.reasons ?? [];
  }

  /** The announced or detected picture size; undefined if unknown. */
  get pictureSize(): { readonly width: number; readonly height: number } | undefined {
    const { width, height } = this.#video?.info ?? this.#announced.video ?? {};
    return positive(width, 16_384) !== null && positive(height, 16_384) !== null && width && height
      ? { width, height }
      : undefined;
  }

  #measure(dtsMs: number): void {
    this.#firstMs ??= dtsMs;
    this.#spanMs = Math.max(this.#spanMs, dtsMs - this.#firstMs);
  }

  #observeVideo(tag: FedTag): void {
    const codec = codecOf(tag);
    if (this.#video?.codec !== codec) {
      const unseen = { headerSeen: false, keyframeSeen: false, openGops: false, frames: 0, offsetSeen: false };
      this.#video = { codec, info: null, reorders: null, ...unseen };
    }
    const video = this.#video;
    if (tag.sequenceHeader) {
      video.headerSeen = true;
      if (codec === "h264") readAvcConfig(video, tag.payload.subarray(tagDataOffset("video")));
      return;
    }
    video.keyframeSeen ||= tag.keyframe && (video.headerSeen || codec !== "h264");
    video.openGops ||= tag.openGop === true;
    video.frames += 1;
    video.offsetSeen ||= tag.compositionMs !== 0;
  }

  #observeAudio(tag: FedTag): void {
    const codec = codecOf(tag);
    if (this.#audio?.codec !== codec) this.#audio = { codec, info: null };
    if (codec !== "aac") {
      const head = tag.payload.readUInt8(0);
      const sampleRateHz = SOUND_RATES_HZ[(head >> 2) & 3] ?? 44_100;
      this.#audio.info = { codec, channels: (head & 1) + 1, sampleRateHz };
    } else if (tag.sequenceHeader) {
      const info = readAacInfo(tag.payload.subarray(tagDataOffset("audio")));
      if (info !== null) this.#audio.info = info;
    }
  }

  #missingVideo(waitedMs: number): string | null {
    const video = this.#video;
    const announced = video !== null || this.#announced.video !== undefined;
    // After that time a late keyframe is no longer awaited: the other track is played until it comes.
    if (waitedMs >= (announced ? ANNOUNCED_TRACK_WAIT_MS : TRACK_WAIT_MS)) return null;
    if (video === null) return "video";
    if (video.codec === "h264" && !video.headerSeen) return "the video's sequence header";
    if (!video.keyframeSeen) return "a keyframe";
    const certain = video.codec !== "h264" || video.reorders !== null || video.offsetSeen;
    return certain || video.frames >= FRAMES_TO_JUDGE ? null : "pictures to judge by";
  }

  #missingAudio(waitedMs: number): string | null {
    const announced = this.#audio !== null || this.#announced.audio === true;
    if (waitedMs >= (announced ? ANNOUNCED_TRACK_WAIT_MS : TRACK_WAIT_MS)) return null;
    if (this.#audio === null) return "audio";
    return this.#audio.info === null ? "the audio's sequence header" : null;
  }

  #videoInfo(): VideoInfo | null {
    const video = this.#video;
    if (video === null || (!video.headerSeen && !video.keyframeSeen)) return null;
    const announced = this.#announced.video ?? {};
    const fps = positive(announced.fps, 240);
    if (video.info !== null) {
      const judged = video.reorders ?? video.frames < FRAMES_TO_JUDGE;
      const openGops = video.openGops ? { openGops: true } : {};
      return { ...video.info, ...openGops, fps: video.info.fps ?? fps, hasBFrames: video.offsetSeen || judged };
    }
    return {
      codec: video.codec,
      width: positive(announced.width, 16_384) ?? FALLBACK_SIZE.width,
      height: positive(announced.height, 16_384) ?? FALLBACK_SIZE.height,
      fps,
      pixelFormat: null,
      // An unreadable SPS counts as having B-frames, so that the stream is not copied.
      hasBFrames: true,
      gopMs: null,
      rotation: 0,
      squarePixels: true,
      interlaced: false,
    };
  }
}

/** Reads an AudioSpecificConfig; returns null if it is unreadable. */
export function readAacInfo(record: Buffer): AudioInfo | null {
  try {
    return audioInfoOf(parseAacConfig(record));
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return null;
  }
}

function readAvcConfig(video: SeenVideo, record: Buffer): void {
  try {
    const config = parseAvcConfig(record);
    video.info = videoInfoOf(config);
    video.reorders = reordersFrames(config.sps);
  } catch (error) {
    // The track is kept without this information, because ffmpeg may still be able to decode it.
    if (!(error instanceof CodecError)) throw error;
    video.info = null;
  }
}

function positive(value: number | undefined, max: number): number | null {
  return value !== undefined && value > 0 && value <= max ? value : null;
}
