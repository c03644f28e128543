import { parseAacConfig } from "../../codec/aac-config.ts";
import { parseAvcConfig } from "../../codec/avc-config.ts";
import { CodecError } from "../../codec/codec-error.ts";
import { reordersFrames } from "../../codec/sps.ts";
import { audioInfoOf, videoInfoOf } from "../../codec/track-info.ts";
import { codecOfTagBody, parseTagBody, tagDataOffset } from "../../flv/flv-tag.ts";
import type { FlvTag } from "../../flv/flv-writer.ts";
import { type AmfObject, amfEntries, decodeAmf0 } from "../../rtmp/amf0.ts";
import { RtmpProtocolError } from "../../rtmp/rtmp-protocol-error.ts";
import type { AudioInfo, MediaInfo, VideoInfo } from "../media-info.ts";

/** How long a track may take to show up behind the other one, ms: of media, or of time. */
const TRACK_WAIT_MS = 1500;
/** The same where the stream's metadata announces it. */
const ANNOUNCED_TRACK_WAIT_MS = 5000;
/** Pictures to look at for B-frames where the SPS does not say. */
const FRAMES_TO_JUDGE = 16;
/** A picture of unknown size is taken for this. */
const FALLBACK_SIZE = { width: 1280, height: 720 };
/** SoundRate of AudioTagHeader (Adobe FLV 10.1, E.4.2.1). */
const SOUND_RATES_HZ = [5512, 11_025, 22_050, 44_100];

export type ProbeVerdict =
  | { readonly name: "wait"; readonly missing: string }
  | { readonly name: "ready"; readonly media: MediaInfo };

interface SeenVideo {
  codec: string;
  /** From the sequence header; null: there was none, or it cannot be read. */
  info: VideoInfo | null;
  /** What the SPS says; null: nothing. */
  reorders: boolean | null;
  headerSeen: boolean;
  keyframeSeen: boolean;
  frames: number;
  offsetSeen: boolean;
}

interface SeenAudio {
  codec: string;
  info: AudioInfo | null;
}

/** Learns from the first tags of a live stream, joined anywhere, which tracks it has. Does no I/O. */
export class LiveProbe {
  #video: SeenVideo | null = null;
  #audio: SeenAudio | null = null;
  #metadata: AmfObject = {};
  #firstMs: number | null = null;
  #spanMs = 0;

  observe(tag: FlvTag): void {
    if (tag.kind === "data") {
      this.#metadata = metadataOf(tag.payload) ?? this.#metadata;
      return;
    }
    if (tag.payload.length === 0) return;
    const header = parseTagBody(tag.kind, 0, tag.payload)?.sequenceHeader ?? false;
    if (!header) this.#measure(tag.timestampMs);
    if (tag.kind === "video") this.#observeVideo(tag.payload);
    else this.#observeAudio(tag.payload);
  }

  /** @param elapsedMs since the first tag. */
  verdict(elapsedMs: number): ProbeVerdict {
    const waitedMs = Math.max(elapsedMs, this.#spanMs);
    const missing = [this.#missingVideo(waitedMs), this.#missingAudio(waitedMs)].filter((what) => what !== null);
    const [first] = missing;
    if (first !== undefined) return { name: "wait", missing: missing.join(" and ") };
    if (this.#video === null && this.#audio === null) return { name: "wait", missing: "audio and video" };
    return { name: "ready", media: this.#media() };
  }

  #measure(timestampMs: number): void {
    this.#firstMs ??= timestampMs;
    this.#spanMs = Math.max(this.#spanMs, timestampMs - this.#firstMs);
  }

  #observeVideo(payload: Buffer): void {
    const codec = codecOfTagBody("video", payload) ?? "unknown";
    if (this.#video === null || this.#video.codec !== codec) {
      this.#video = {
        codec,
        info: null,
        reorders: null,
        headerSeen: false,
        keyframeSeen: false,
        frames: 0,
        offsetSeen: false,
      };
    }
    const video = this.#video;
    const tag = parseTagBody("video", 0, payload);
    if (tag === null) {
      // FrameType stands in the same bits of all headers; an extended one has a flag above it.
      if (codec !== "h264") video.keyframeSeen ||= (payload.readUInt8(0) & 0x70) === 0x10;
      return;
    }
    if (tag.sequenceHeader) {
      video.headerSeen = true;
      this.#readAvcConfig(video, payload.subarray(tagDataOffset("video")));
      return;
    }
    video.keyframeSeen ||= tag.keyframe && video.headerSeen;
    video.frames += 1;
    video.offsetSeen ||= tag.compositionMs !== 0;
  }

  #readAvcConfig(video: SeenVideo, record: Buffer): void {
    try {
      const config = parseAvcConfig(record);
      video.info = videoInfoOf(config);
      video.reorders = reordersFrames(config.sps);
    } catch (error) {
      // ffmpeg may still make something of it.
      if (!(error instanceof CodecError)) throw error;
    }
  }

  #observeAudio(payload: Buffer): void {
    const codec = codecOfTagBody("audio", payload) ?? "unknown";
    if (this.#audio === null || this.#audio.codec !== codec) this.#audio = { codec, info: null };
    if (codec !== "aac") {
      const head = payload.readUInt8(0);
      const sampleRateHz = SOUND_RATES_HZ[(head >> 2) & 3] ?? 44_100;
      this.#audio.info = { codec, channels: (head & 1) + 1, sampleRateHz };
      return;
    }
    if (parseTagBody("audio", 0, payload)?.sequenceHeader !== true) return;
    try {
      this.#audio.info = audioInfoOf(parseAacConfig(payload.subarray(tagDataOffset("audio"))));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
    }
  }

  #missingVideo(waitedMs: number): string | null {
    const video = this.#video;
    if (video === null) return waitedMs < this.#trackWaitMs("videocodecid") ? "video" : null;
    if (video.codec === "h264" && !video.headerSeen) return "the video's sequence header";
    if (!video.keyframeSeen) return "a keyframe";
    const certain = video.codec !== "h264" || video.reorders !== null || video.offsetSeen;
    return certain || video.frames >= FRAMES_TO_JUDGE ? null : "pictures to judge by";
  }

  #missingAudio(waitedMs: number): string | null {
    if (this.#audio === null) return waitedMs < this.#trackWaitMs("audiocodecid") ? "audio" : null;
    return this.#audio.info === null ? "the audio's sequence header" : null;
  }

  #trackWaitMs(announcedBy: string): number {
    return this.#metadata[announcedBy] === undefined ? TRACK_WAIT_MS : ANNOUNCED_TRACK_WAIT_MS;
  }

  #media(): MediaInfo {
    return { container: "flv", durationMs: null, video: this.#videoInfo(), audio: this.#audio?.info ?? null };
  }

  #videoInfo(): VideoInfo | null {
    const video = this.#video;
    if (video === null) return null;
    const fps = positive(this.#metadata["framerate"], 240);
    if (video.info !== null) {
      const hasBFrames = video.offsetSeen || video.reorders === true;
      return { ...video.info, fps: video.info.fps ?? fps, hasBFrames };
    }
    return {
      codec: video.codec,
      width: positive(this.#metadata["width"], 16_384) ?? FALLBACK_SIZE.width,
      height: positive(this.#metadata["height"], 16_384) ?? FALLBACK_SIZE.height,
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

/** The values of an `onMetaData` message, however it is wrapped; null where it cannot be read. */
function metadataOf(payload: Buffer): AmfObject | null {
  try {
    for (const value of decodeAmf0(payload)) {
      const entries = amfEntries(value);
      if (entries !== null) return entries;
    }
  } catch (error) {
    if (!(error instanceof RtmpProtocolError)) throw error;
  }
  return null;
}

function positive(value: AmfObject[string], max: number): number | null {
  return typeof value === "number" && value > 0 && value <= max ? value : null;
}
