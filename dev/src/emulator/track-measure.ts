import type { TrackReport } from "./room-report.ts";

/** Counts and times the tags of one track. Constant memory, a few additions a tag. */
export class TrackMeasure {
  /** Unwrapped timestamp of the newest tag, ms. */
  lastTimestampMs: number | null = null;
  lastTagAtMs: number | null = null;
  firstTimestampMs: number | null = null;
  firstTagAtMs: number | null = null;
  tags = 0;
  sequenceHeaders = 0;
  largestArrivalGapMs = 0;
  codec = "unknown";
  #bytes = 0;
  #largestGapMs = 0;
  #timestampsBack = 0;
  #highestTimestampMs = 0;

  /** A tag with media; returns its unwrapped timestamp, ms. */
  observe(rtmpTimestampMs: number, bytes: number, nowMs: number): number {
    this.#bytes += bytes;
    this.tags++;
    if (this.lastTimestampMs === null || this.lastTagAtMs === null) {
      this.firstTimestampMs = rtmpTimestampMs;
      this.firstTagAtMs = nowMs;
      this.#highestTimestampMs = rtmpTimestampMs;
      this.lastTimestampMs = rtmpTimestampMs;
      this.lastTagAtMs = nowMs;
      return rtmpTimestampMs;
    }
    // RTMP timestamps are 32 bits and wrap (Adobe RTMP 1.0, section 4): the signed difference is right either way.
    const stepMs = (rtmpTimestampMs - this.lastTimestampMs) | 0;
    const timestampMs = this.lastTimestampMs + stepMs;
    if (stepMs < 0) this.#timestampsBack++;
    if (stepMs > this.#largestGapMs) this.#largestGapMs = stepMs;
    if (timestampMs > this.#highestTimestampMs) this.#highestTimestampMs = timestampMs;
    const arrivalGapMs = nowMs - this.lastTagAtMs;
    if (arrivalGapMs > this.largestArrivalGapMs) this.largestArrivalGapMs = arrivalGapMs;
    this.lastTimestampMs = timestampMs;
    this.lastTagAtMs = nowMs;
    return timestampMs;
  }

  observeSequenceHeader(bytes: number): void {
    this.sequenceHeaders++;
    this.#bytes += bytes;
  }

  /** Time between the first timestamp and the highest, ms. */
  get spanMs(): number {
    return this.firstTimestampMs === null ? 0 : this.#highestTimestampMs - this.firstTimestampMs;
  }

  report(): TrackReport {
    return {
      codec: this.codec,
      tags: this.tags,
      bytes: this.#bytes,
      sequenceHeaders: this.sequenceHeaders,
      firstTagAtMs: this.firstTagAtMs,
      lastTagAtMs: this.lastTagAtMs,
      firstTimestampMs: this.firstTimestampMs,
      lastTimestampMs: this.lastTimestampMs,
      largestGapMs: this.#largestGapMs,
      largestArrivalGapMs: this.largestArrivalGapMs,
      timestampsBack: this.#timestampsBack,
    };
  }
}
