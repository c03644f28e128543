import type { OutgoingMedia } from "../publisher/publisher.ts";
import type { MediaTag } from "../source/media-tag.ts";
import type { Source } from "../source/source.ts";
import { initialHurryMs, LiveLatency } from "./live-latency.ts";

/** A recorded source that is later than this is played on from now, rather than hurried after, ms. */
const LATE_MS = 300;
/** Distance to the last picture when nothing better is known, ms. */
const DEFAULT_FRAME_MS = 33;

export interface TimelineSink {
  /** @param tag where the message comes from */
  send(media: OutgoingMedia, tag: MediaTag): void;
}

/** The source that is on the air, and how its clock maps to the output clock. */
interface Segment {
  readonly source: Source;
  /** Output timestamp minus source DTS, ms. */
  readonly offsetMs: number;
  /** Where the output clock stood at the cut, ms. */
  readonly cutMs: number;
  /** Taken from the source while its first keyframe was looked for. */
  readonly ahead: MediaTag[];
  /** null: recorded. */
  readonly latency: LiveLatency | null;
  /** Pictures were dropped: those up to the next keyframe cannot be decoded. */
  awaitsKeyframe: boolean;
}

/**
 * The continuous output clock of a seat. Pure: time comes in as an argument, media goes out through the sink.
 *
 * Video and audio share one zero. Output timestamps never fall and stay continuous when the source changes: each source
 * is placed so that its first keyframe stands where the clock is. A tag leaves when its output timestamp is due.
 */
export class Timeline {
  #segment: Segment | undefined;
  /** Wall time, ms, at which output timestamp 0 was or would have been due; undefined before the first cut. */
  #zeroWallMs: number | undefined;
  #lastVideoMs: number | undefined;
  #lastAudioMs: number | undefined;
  #frameMs = DEFAULT_FRAME_MS;
  #positionMs = 0;
  #droppedFrames = 0;

  /** Position in the current source of what was sent last, ms. */
  get positionMs(): number {
    return this.#positionMs;
  }

  /** Pictures that were dropped because the room did not take them, since the first cut. */
  get droppedFrames(): number {
    return this.#droppedFrames;
  }

  /** True when the current source has ended and all of it was sent, or when there is none. */
  get drained(): boolean {
    const segment = this.#segment;
    return segment === undefined || (segment.source.end !== undefined && this.#peek(segment) === undefined);
  }

  /**
   * Puts a source on the air from its first keyframe on. Its audio before that is dropped; the source before it is heard
   * up to the cut.
   */
  cutTo(source: Source, nowMs: number, sink: TimelineSink): void {
    this.#zeroWallMs ??= nowMs;
    const cutMs = this.#nextCutMs(nowMs - this.#zeroWallMs);
    this.#soundUpTo(cutMs, sink);
    const { live, segmented = false } = source.info;
    const { ahead, keyframeDtsMs } = takeUpToKeyframe(source);
    const latency = live ? new LiveLatency({ segmented, nowMs }) : null;
    this.#segment = { source, ahead, cutMs, latency, offsetMs: cutMs - keyframeDtsMs, awaitsKeyframe: false };
    this.#positionMs = keyframeDtsMs;
    // The first picture leaves at once, also when the clock stands a little before the cut.
    this.#zeroWallMs = nowMs - cutMs;
    // A live server begins with the picture group it is in: what is old of it is sent at once, to be at the newest.
    if (live && !segmented) this.#zeroWallMs -= initialHurryMs(source.queuedMs);
  }

  /** Takes the current source off the air; the clock goes on. */
  clear(): void {
    this.#segment = undefined;
  }

  /** Drops all that waits, and what follows it up to the next keyframe: a live source that the room cannot take. */
  dropWaiting(): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    for (let tag = this.#peek(segment); tag !== undefined && !tag.sequenceHeader; tag = this.#peek(segment)) {
      this.#take(segment);
      if (tag.kind === "video") {
        this.#droppedFrames += 1;
        segment.awaitsKeyframe = true;
      }
    }
  }

  /** Sends all that is due. */
  advance(nowMs: number, sink: TimelineSink): void {
    const segment = this.#segment;
    if (segment === undefined || this.#zeroWallMs === undefined) return;
    this.#adjustPace(segment, nowMs);
    const clockMs = nowMs - this.#zeroWallMs;
    for (let tag = this.#peek(segment); tag !== undefined; tag = this.#peek(segment)) {
      if (!tag.sequenceHeader && tag.dtsMs + segment.offsetMs > clockMs) return;
      this.#take(segment);
      this.#emit(segment, tag, sink);
    }
  }

  #soundUpTo(cutMs: number, sink: TimelineSink): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    for (let tag = this.#peek(segment); tag !== undefined; tag = this.#peek(segment)) {
      const isSound = tag.kind === "audio" && !tag.sequenceHeader;
      if (isSound && tag.dtsMs + segment.offsetMs >= cutMs) return;
      this.#take(segment);
      if (isSound) this.#emit(segment, tag, sink);
    }
  }

  /** Moves the clock against the wall, never the timestamps against each other. */
  #adjustPace(segment: Segment, nowMs: number): void {
    const head = this.#peek(segment);
    // A header's own timestamp means nothing (mostly it is 0).
    if (head === undefined || head.sequenceHeader || this.#zeroWallMs === undefined) return;
    const latenessMs = nowMs - this.#zeroWallMs - (head.dtsMs + segment.offsetMs);
    if (segment.latency !== null) {
      this.#zeroWallMs -= segment.latency.hurryMs(segment.source.queuedMs - latenessMs, nowMs);
    } else if (latenessMs > LATE_MS) {
      this.#zeroWallMs += latenessMs;
    }
  }

  #emit(segment: Segment, tag: MediaTag, sink: TimelineSink): void {
    const lastMs = tag.kind === "video" ? this.#lastVideoMs : this.#lastAudioMs;
    const mappedMs = tag.dtsMs + segment.offsetMs;
    if (tag.sequenceHeader) {
      // A header may carry any timestamp (mostly 0): it belongs to what comes after it.
      const timestampMs = Math.round(Math.max(segment.cutMs, lastMs ?? 0));
      sink.send({ kind: tag.kind, timestampMs, payload: tag.payload }, tag);
      return;
    }
    if (tag.kind === "audio" && (mappedMs < segment.cutMs || (lastMs !== undefined && mappedMs <= lastMs))) return;
    if (tag.kind === "video" && segment.awaitsKeyframe) {
      if (!tag.keyframe) {
        this.#droppedFrames += 1;
        return;
      }
      segment.awaitsKeyframe = false;
    }
    const timestampMs = Math.max(Math.round(mappedMs), lastMs ?? 0);
    if (tag.kind === "video") {
      const stepMs = lastMs === undefined ? 0 : timestampMs - lastMs;
      if (stepMs > 0 && stepMs < 200) this.#frameMs = stepMs;
      this.#lastVideoMs = timestampMs;
      this.#positionMs = tag.dtsMs;
    } else {
      this.#lastAudioMs = timestampMs;
    }
    sink.send({ kind: tag.kind, timestampMs, payload: tag.payload }, tag);
  }

  /** Where a cut that is made when the clock stands at `clockMs` puts its first picture, ms. */
  #nextCutMs(clockMs: number): number {
    const afterLastMs = this.#lastVideoMs === undefined ? 0 : this.#lastVideoMs + this.#frameMs;
    return Math.round(Math.max(clockMs, afterLastMs));
  }

  #peek(segment: Segment): MediaTag | undefined {
    return segment.ahead[0] ?? segment.source.peek();
  }

  #take(segment: Segment): void {
    if (segment.ahead.shift() === undefined) segment.source.shift();
  }
}

/** Takes tags until the first keyframe is at hand; keeps the sequence headers and the audio that goes with it. */
function takeUpToKeyframe(source: Source): { ahead: MediaTag[]; keyframeDtsMs: number } {
  const ahead: MediaTag[] = [];
  for (let tag = source.shift(); tag !== undefined; tag = source.shift()) {
    if (tag.sequenceHeader || tag.kind === "audio" || tag.keyframe) ahead.push(tag);
    if (tag.kind === "video" && tag.keyframe && !tag.sequenceHeader) {
      const keyframeDtsMs = tag.dtsMs;
      return { keyframeDtsMs, ahead: ahead.filter((early) => early.sequenceHeader || early.dtsMs >= keyframeDtsMs) };
    }
  }
  // An opened source has its first keyframe at hand; one that has ended meanwhile may have nothing.
  return { ahead, keyframeDtsMs: ahead.find((tag) => !tag.sequenceHeader)?.dtsMs ?? 0 };
}
