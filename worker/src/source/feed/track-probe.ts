import { parseAacConfig } from "../../media/codec/aac-config.ts";
import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import { CodecError } from "../../media/codec/codec-error.ts";
import { reordersFrames } from "../../media/codec/sps.ts";
import { audioInfoOf, videoInfoOf } from "../../media/codec/track-info.ts";
import { tagDataOffset } from "../../media/flv/flv-tag.ts";
import type { AudioInfo, VideoInfo } from "../../media/media-info.ts";
import { codecOf, type FedTag } from "./fed-tag.ts";
import type { Announcement } from "./tag-feed.ts";

/** How long a track may take to show up behind the other one, ms: of media, or of time. */
const TRACK_WAIT_MS = 1500;
/** The same where the stream announces it. */
const ANNOUNCED_TRACK_WAIT_MS = 5000;
/** Pictures to look at for B-frames where the SPS does not say. */
const FRAMES_TO_JUDGE = 16;
/** A picture of unknown size is taken for this. */
const FALLBACK_SIZE = { width: 1280, height: 720 };
/** SoundRate of AudioTagHeader (Adobe FLV 10.1, E.4.2.1). */
const SOUND_RATES_HZ = [5512, 11_025, 22_050, 44_100];

export type ProbeVerdict =
  | { readonly name: "wait"; readonly missing: string }
  /** `pictureComes`: the video is known, but its first keyframe is not here yet. */
  | { readonly name: "ready"; readonly tracks: FedTracks };

/** The tracks of a feed as far as they are known. */
export interface FedTracks {
  readonly video: VideoInfo | null;
  readonly audio: AudioInfo | null;
  /** A keyframe has come: the picture can be shown. */
  readonly pictureHere: boolean;
}

interface SeenVideo {
  readonly codec: string;
  /** From the sequence header; null: there was none, or it cannot be read. */
  info: VideoInfo | null;
  /** What the SPS says; null: nothing. */
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

/** Learns from the tags of a feed, joined anywhere, which tracks it has. Does no I/O. */
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
   * @param ended nothing more will come
   */
  verdict(elapsedMs: number, ended = false): ProbeVerdict {
    const waitedMs = ended ? Number.POSITIVE_INFINITY : Math.max(elapsedMs, this.#spanMs);
    const missing = [this.#missingVideo(waitedMs), this.#missingAudio(waitedMs)].filter((what) => what !== null);
    if (missing.length > 0) return { name: "wait", missing: missing.join(" and ") };
    if (this.#video === null && this.#audio === null) return { name: "wait", missing: "audio and video" };
    const { tracks } = this;
    // Tags of a codec whose header never came tell nothing that could be played.
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

  /** What was said of the choice of tracks. */
  get reasons(): readonly string[] {
    return this.#announced.reasons ?? [];
  }

  /** What was announced or seen of the picture's size; undefined: nothing. */
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
    // A picture whose keyframe is long in coming is not waited for: what is there is played until it comes.
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
      // Nothing excludes them: what cannot be read is not copied.
      hasBFrames: true,
      gopMs: null,
      rotation: 0,
      squarePixels: true,
      interlaced: false,
    };
  }
}

/** What an AudioSpecificConfig says; null where it cannot be read. */
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
    // ffmpeg may still make something of it.
    if (!(error instanceof CodecError)) throw error;
    video.info = null;
  }
}

function positive(value: number | undefined, max: number): number | null {
  return value !== undefined && value > 0 && value <= max ? value : null;
}
