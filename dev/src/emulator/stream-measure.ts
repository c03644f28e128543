import { type AudioFormat, type FrameSize, readAudioFacts, readVideoFacts } from "./media-facts.ts";
import type { AudioReport, StreamReport, VideoReport } from "./room-report.ts";
import { TrackMeasure } from "./track-measure.ts";

/** One RTMP audio or video message as it came in. */
export interface ArrivedTag {
  readonly kind: "audio" | "video";
  /** RTMP timestamp, ms, 32 bits. */
  readonly timestampMs: number;
  /** FLV tag body. */
  readonly payload: Buffer;
}

/** The kind of a tag, for forwarding it. */
export type TagRole = "sequence-header" | "keyframe" | "frame" | "other";

/** The time over which a bit rate is averaged, ms. */
const RATE_WINDOW_MS = 1000;

/** Measures one publisher's stream as it comes in. It reads no clock and uses constant memory. */
export class StreamMeasure {
  readonly #video = new TrackMeasure();
  readonly #audio = new TrackMeasure();
  readonly #gop = { startTimestampMs: 0, frames: 0, longestMs: 0, longestFrames: 0 };
  readonly #rate = { startedAtMs: 0, bytes: 0, kbps: 0 };
  #size: FrameSize | null = null;
  #format: AudioFormat | null = null;
  #metadata: StreamReport["metadata"] = null;
  #bytes = 0;
  #firstTagAtMs: number | null = null;
  #lastTagAtMs = 0;
  #keyframes = 0;
  #firstKeyframeAtMs: number | null = null;
  #bFrames = 0;
  #reorderedFrames = 0;
  /** The latest presentation time since the newest keyframe, unwrapped ms. */
  #latestShownMs = 0;
  #resolutionChanges = 0;
  #largestAvSkewMs: number | null = null;

  /** Takes the next tag. `nowMs` is when it arrived, Unix ms. */
  observe(tag: ArrivedTag, nowMs: number): TagRole {
    this.#countBytes(tag.payload.length, nowMs);
    const role = tag.kind === "video" ? this.#observeVideo(tag, nowMs) : this.#observeAudio(tag, nowMs);
    const skewMs = this.#avSkewMs();
    if (skewMs !== null && Math.abs(skewMs) > (this.#largestAvSkewMs ?? -1)) this.#largestAvSkewMs = Math.abs(skewMs);
    return role;
  }

  /** Takes onMetaData; other than plain values are left out. */
  observeMetadata(metadata: Readonly<Record<string, unknown>>): void {
    const plain = Object.entries(metadata).filter(
      (entry): entry is [string, number | string | boolean] =>
        typeof entry[1] === "boolean" || Number.isFinite(entry[1]) || typeof entry[1] === "string",
    );
    this.#metadata = Object.fromEntries(
      plain.slice(0, 50).map(([name, value]) => [name, typeof value === "string" ? value.slice(0, 200) : value]),
    );
  }

  /** The arrival of the newest picture, Unix ms. Null if no picture has come. */
  get lastPictureAtMs(): number | null {
    return this.#video.lastTagAtMs;
  }

  get firstPictureAtMs(): number | null {
    return this.#video.firstTagAtMs;
  }

  get largestPictureGapMs(): number {
    return this.#video.largestArrivalGapMs;
  }

  /** True if it has B-frames. */
  get reordersFrames(): boolean {
    return this.#reorderedFrames > 0;
  }

  get videoCodec(): string {
    return this.#video.codec;
  }

  report(): StreamReport {
    const elapsedMs = this.#lastTagAtMs - (this.#firstTagAtMs ?? this.#lastTagAtMs);
    return {
      video: this.#videoReport(),
      audio: this.#audioReport(),
      metadata: this.#metadata,
      bytes: this.#bytes,
      bitRateKbps: this.#rate.kbps,
      averageBitRateKbps: elapsedMs === 0 ? 0 : Math.round((this.#bytes * 8) / elapsedMs),
      avSkewMs: this.#avSkewMs(),
      largestAvSkewMs: this.#largestAvSkewMs,
    };
  }

  #observeVideo(tag: ArrivedTag, nowMs: number): TagRole {
    const facts = readVideoFacts(tag.payload);
    if (facts.name === "other") return "other";
    this.#video.codec = facts.codec;
    if (facts.name === "sequence-header") {
      this.#video.observeSequenceHeader(tag.payload.length);
      this.#takeSize(facts.size);
      return "sequence-header";
    }
    const timestampMs = this.#video.observe(tag.timestampMs, tag.payload.length, nowMs);
    if (facts.compositionMs !== 0) this.#bFrames++;
    this.#observeOrder(timestampMs + facts.compositionMs, facts.keyframe);
    if (facts.keyframe) this.#beginGop(timestampMs, nowMs);
    this.#gop.frames++;
    return facts.keyframe ? "keyframe" : "frame";
  }

  #observeOrder(shownMs: number, keyframe: boolean): void {
    if (!keyframe && shownMs < this.#latestShownMs) this.#reorderedFrames++;
    this.#latestShownMs = keyframe ? shownMs : Math.max(this.#latestShownMs, shownMs);
  }

  #observeAudio(tag: ArrivedTag, nowMs: number): TagRole {
    const facts = readAudioFacts(tag.payload);
    if (facts.name === "other") return "other";
    this.#audio.codec = facts.codec;
    if (facts.name === "sequence-header") {
      this.#audio.observeSequenceHeader(tag.payload.length);
      this.#format = facts.format ?? this.#format;
      return "sequence-header";
    }
    this.#audio.observe(tag.timestampMs, tag.payload.length, nowMs);
    return "frame";
  }

  #takeSize(size: FrameSize | null): void {
    if (size === null) return;
    const changed = this.#size !== null && (size.width !== this.#size.width || size.height !== this.#size.height);
    if (changed) this.#resolutionChanges++;
    this.#size = size;
  }

  #beginGop(timestampMs: number, nowMs: number): void {
    const gop = this.#gop;
    if (this.#keyframes > 0) {
      gop.longestMs = Math.max(gop.longestMs, timestampMs - gop.startTimestampMs);
      gop.longestFrames = Math.max(gop.longestFrames, gop.frames);
    } else {
      this.#firstKeyframeAtMs = nowMs;
    }
    this.#keyframes++;
    gop.startTimestampMs = timestampMs;
    gop.frames = 0;
  }

  #countBytes(bytes: number, nowMs: number): void {
    const rate = this.#rate;
    if (this.#firstTagAtMs === null) {
      this.#firstTagAtMs = nowMs;
      rate.startedAtMs = nowMs;
    }
    const windowMs = nowMs - rate.startedAtMs;
    if (windowMs >= RATE_WINDOW_MS) {
      rate.kbps = Math.round((rate.bytes * 8) / windowMs);
      rate.startedAtMs = nowMs;
      rate.bytes = 0;
    }
    rate.bytes += bytes;
    this.#bytes += bytes;
    this.#lastTagAtMs = nowMs;
  }

  #avSkewMs(): number | null {
    const { lastTimestampMs: audioMs } = this.#audio;
    const { lastTimestampMs: videoMs } = this.#video;
    // Signed 32 bits: right also where only one of the two has wrapped by the time the other began.
    return audioMs === null || videoMs === null ? null : (audioMs - videoMs) | 0;
  }

  #videoReport(): VideoReport | null {
    const track = this.#video;
    if (track.tags === 0 && track.sequenceHeaders === 0) return null;
    const closedGops = this.#keyframes > 1;
    return {
      ...track.report(),
      width: this.#size?.width ?? null,
      height: this.#size?.height ?? null,
      fps: track.spanMs === 0 ? null : Math.round(((track.tags - 1) * 100_000) / track.spanMs) / 100,
      keyframes: this.#keyframes,
      firstKeyframeAtMs: this.#firstKeyframeAtMs,
      bFrames: this.#bFrames,
      reorderedFrames: this.#reorderedFrames,
      longestGopMs: closedGops ? this.#gop.longestMs : null,
      longestGopFrames: closedGops ? this.#gop.longestFrames : null,
      resolutionChanges: this.#resolutionChanges,
    };
  }

  #audioReport(): AudioReport | null {
    const track = this.#audio;
    if (track.tags === 0 && track.sequenceHeaders === 0) return null;
    return {
      ...track.report(),
      sampleRateHz: this.#format?.sampleRateHz ?? null,
      channels: this.#format?.channels ?? null,
    };
  }
}
