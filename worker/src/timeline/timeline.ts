import type { MediaTag } from "../media/media-tag.ts";
import type { OutgoingMedia } from "../publisher/publisher.ts";
import type { Source } from "../source/source.ts";
import { type FillFrame, type GapFiller, NO_FILLER } from "./gap-filler.ts";
import { initialHurryMs, LIVE_TARGET_MS, LiveLatency } from "./live-latency.ts";
import { newestDtsMs, takeNewest, takeToKeyframe, takeToNewestKeyframe } from "./take-to-keyframe.ts";

/** A source that is later than this and was not filled is played on from now, rather than hurried after, ms. */
const LATE_MS = 300;
/** A track that is this far behind the clock is filled, ms: two frames of 30 a second, four of 48 kHz AAC. */
const FILL_AFTER_MS = { video: 70, audio: 90 } as const;
/** A recorded source that gives nothing for a moment is waited for so long before pictures are repeated, ms. */
const LONGEST_WAIT_MS = 1_500;
/** 1024 samples at 44.1 kHz, the longest frame that a room takes, ms. */
const AUDIO_FRAME_MS = 1024 / 44.1;
/** Distance to the last picture when nothing better is known, ms. */
const DEFAULT_FRAME_MS = 33;
/** A source that begins further before the wanted position than this is not rolled up to it, ms. */
const LONGEST_ROLL_MS = 12_000;
/** A longer step between two pictures says nothing of the frame rate, ms. */
const LONGEST_FRAME_MS = 200;

type Track = MediaTag["kind"];

export interface TimelineSink {
  /** @param tag where the message comes from; undefined: it was made to fill a gap */
  send(media: OutgoingMedia, tag: MediaTag | undefined): void;
}

/** The source that is on the air, and how its clock maps to the output clock. */
interface Segment {
  readonly source: Source;
  /** Output timestamp minus source DTS, ms; grows when the source was late and a gap was filled. */
  offsetMs: number;
  /** Where the output clock stood at the cut, ms. */
  cutMs: number;
  /** Pictures before this DTS, ms, are only there to be decoded: all at once, a millisecond apart. null: none. */
  rollUntilDtsMs: number | null;
  /** Taken from the source while a keyframe was looked for. */
  ahead: MediaTag[];
  /** null: recorded. */
  readonly latency: LiveLatency | null;
  /** Pictures were dropped: those up to the next keyframe cannot be decoded. */
  awaitsKeyframe: boolean;
}

/**
 * The continuous output clock of a seat. Pure: time comes in as an argument, media goes out through the sink.
 *
 * Video and audio share one zero. Output timestamps never fall and stay continuous when the source changes: each source
 * is placed so that its first keyframe stands where the clock is. A tag leaves when its output timestamp is due. Where
 * nothing is due for too long, because the source is late, paused or gone, the filler stands in.
 */
export class Timeline {
  readonly #filler: GapFiller;
  #segment: Segment | undefined;
  /** Wall time, ms, at which output timestamp 0 was or would have been due; undefined before the first cut. */
  #zeroWallMs: number | undefined;
  readonly #lastMs: Record<Track, number | undefined> = { video: undefined, audio: undefined };
  /** Between the last two pictures, ms. */
  #frameMs = DEFAULT_FRAME_MS;
  #filledSinceMedia = false;
  #advancedAtMs: number | undefined;
  #waitedMs = 0;
  #paused = false;
  #away = false;
  #positionMs = 0;
  #droppedFrames = 0;

  constructor(filler: GapFiller = NO_FILLER) {
    this.#filler = filler;
  }

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
   * up to the cut. A copied source can only begin at a keyframe: where that lies before `fromMs`, the pictures between
   * are sent at once, so that what is seen and heard begins at `fromMs` exactly.
   */
  cutTo(
    source: Source,
    { nowMs, fromMs }: { readonly nowMs: number; readonly fromMs?: number },
    sink: TimelineSink,
  ): void {
    this.#zeroWallMs ??= nowMs;
    const cutMs = this.#nextCutMs(nowMs - this.#zeroWallMs);
    if (this.#away) this.#skipTo(cutMs);
    this.#soundUpTo(cutMs, sink);
    // Where the last picture is a while ago (a busy machine, a source that had ended), the gap up to the cut is filled.
    this.#fillUpTo(cutMs, sink);
    const { live, segmented = false } = source.info;
    const steady = live && !segmented;
    const { ahead, keyframeDtsMs } = steady ? takeToNewestKeyframe(source) : takeToKeyframe(source);
    const rollMs = live || fromMs === undefined ? 0 : fromMs - positionOf(source, keyframeDtsMs);
    const rolls = rollMs >= 1 && rollMs <= LONGEST_ROLL_MS;
    this.#segment = {
      source,
      ahead,
      cutMs,
      latency: live ? new LiveLatency({ segmented, nowMs }) : null,
      offsetMs: cutMs - keyframeDtsMs,
      rollUntilDtsMs: rolls ? keyframeDtsMs + rollMs : null,
      awaitsKeyframe: false,
    };
    this.#positionMs = rolls ? (fromMs ?? 0) : positionOf(source, keyframeDtsMs);
    this.#filledSinceMedia = false;
    this.#away = false;
    // Sound that begins late, or never, is filled from the first picture on.
    this.#lastMs.audio ??= cutMs - 1;
    // The first picture leaves at once, also when the clock stands a little before the cut.
    this.#zeroWallMs = nowMs - cutMs;
    // A live server begins with the picture group it is in: what is old of it is sent at once, to be at the newest.
    if (steady) this.#zeroWallMs -= initialHurryMs(newestDtsMs(ahead) - keyframeDtsMs);
  }

  /** Takes the current source off the air; the clock goes on, and gaps are filled. */
  clear(): void {
    this.#segment = undefined;
  }

  /** The room is left: nothing is sent before the next cut, for a new connection begins with a header and a keyframe. */
  leave(): void {
    this.clear();
    this.#away = true;
  }

  /** Holds the source where it is; the room sees its last picture and hears nothing. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** Nobody saw the time in which the room was left: it is not filled. */
  #skipTo(cutMs: number): void {
    for (const track of ["video", "audio"] as const) {
      if (this.#lastMs[track] !== undefined) this.#lastMs[track] = cutMs - 1;
    }
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

  /** Sends all that is due, and fills what is missing. */
  advance(nowMs: number, sink: TimelineSink): void {
    if (this.#zeroWallMs === undefined) return;
    this.#zeroWallMs += this.#waitMs(nowMs);
    if (this.#segment !== undefined && !this.#paused) this.#sendDue(this.#segment, nowMs, sink);
    const clockMs = nowMs - this.#zeroWallMs;
    // With nothing to wait for, both tracks are kept close to the clock, and so to each other.
    const idle = this.#paused || this.#segment === undefined;
    this.#fill("video", { clockMs, afterMs: idle ? DEFAULT_FRAME_MS : FILL_AFTER_MS.video }, sink);
    this.#fill("audio", { clockMs, afterMs: idle ? AUDIO_FRAME_MS : FILL_AFTER_MS.audio }, sink);
  }

  /**
   * For how much of the time since the last call the clock stood still, ms. A recorded source that is late by a moment
   * (a slow disk, a busy encoder) loses nothing by it, and none of its pictures is shown twice.
   */
  #waitMs(nowMs: number): number {
    const sinceMs = nowMs - (this.#advancedAtMs ?? nowMs);
    this.#advancedAtMs = nowMs;
    const segment = this.#segment;
    const starved =
      segment !== undefined &&
      segment.latency === null &&
      !this.#paused &&
      segment.source.end === undefined &&
      this.#peek(segment) === undefined;
    this.#waitedMs = starved ? this.#waitedMs + sinceMs : 0;
    return starved && this.#waitedMs <= LONGEST_WAIT_MS ? sinceMs : 0;
  }

  #sendDue(segment: Segment, nowMs: number, sink: TimelineSink): void {
    if (segment.rollUntilDtsMs !== null && !this.#roll(segment, segment.rollUntilDtsMs, nowMs, sink)) return;
    this.#adjustPace(segment, nowMs, sink);
    if (segment.rollUntilDtsMs !== null && !this.#roll(segment, segment.rollUntilDtsMs, nowMs, sink)) return;
    const clockMs = nowMs - (this.#zeroWallMs ?? nowMs);
    for (let tag = this.#peek(segment); tag !== undefined; tag = this.#peek(segment)) {
      if (!tag.sequenceHeader && tag.dtsMs + segment.offsetMs > clockMs) return;
      this.#take(segment);
      this.#emit(segment, tag, sink);
    }
  }

  /** @returns whether the wanted position is reached */
  #roll(segment: Segment, untilDtsMs: number, nowMs: number, sink: TimelineSink): boolean {
    for (let tag = this.#peek(segment); tag !== undefined; tag = this.#peek(segment)) {
      if (!tag.sequenceHeader && tag.dtsMs >= untilDtsMs) {
        segment.rollUntilDtsMs = null;
        segment.cutMs = Math.max(nowMs - (this.#zeroWallMs ?? nowMs), (this.#lastMs.video ?? -1) + 1);
        segment.offsetMs = segment.cutMs - untilDtsMs;
        // The clock may have been looked at late, while what is rolled up came in pieces.
        this.#fillUpTo(segment.cutMs, sink);
        return true;
      }
      this.#take(segment);
      if (tag.kind === "audio" && !tag.sequenceHeader) continue;
      this.#filler.observe(tag);
      const timestampMs = Math.ceil(this.#lastMs[tag.kind] ?? -1) + (tag.sequenceHeader ? 0 : 1);
      if (!tag.sequenceHeader) this.#lastMs.video = timestampMs;
      sink.send({ kind: tag.kind, timestampMs: Math.max(0, timestampMs), payload: tag.payload }, tag);
    }
    return false;
  }

  #soundUpTo(cutMs: number, sink: TimelineSink): void {
    const segment = this.#segment;
    if (segment === undefined || this.#paused) return;
    for (let tag = this.#peek(segment); tag !== undefined; tag = this.#peek(segment)) {
      const isSound = tag.kind === "audio" && !tag.sequenceHeader;
      if (isSound && tag.dtsMs + segment.offsetMs >= cutMs) return;
      this.#take(segment);
      if (isSound) this.#emit(segment, tag, sink);
    }
  }

  /** Moves the clock against the wall, or the source against the clock; never the tracks against each other. */
  #adjustPace(segment: Segment, nowMs: number, sink: TimelineSink): void {
    const head = this.#peek(segment);
    // A header's own timestamp means nothing (mostly it is 0).
    if (head === undefined || head.sequenceHeader || this.#zeroWallMs === undefined) return;
    const latenessMs = nowMs - this.#zeroWallMs - (head.dtsMs + segment.offsetMs);
    if (this.#filledSinceMedia) {
      // The gap is in the output already: the source goes on behind it.
      this.#filledSinceMedia = false;
      if (latenessMs <= 0) return;
      segment.offsetMs += latenessMs;
      this.#fillUpTo(nowMs - this.#zeroWallMs, sink);
      segment.latency?.comesBack(latenessMs, nowMs);
    } else if (segment.latency !== null) {
      const catchUp = segment.latency.judge(this.#waitingMs(segment) - latenessMs, nowMs);
      if (catchUp.name === "hurry") this.#zeroWallMs -= catchUp.byMs;
      else this.#skipToNewest(segment);
    } else if (latenessMs > LATE_MS) {
      this.#zeroWallMs += latenessMs;
    }
  }

  /** From the oldest to the newest of what is here of a source, ms. */
  #waitingMs({ ahead, source }: Segment): number {
    const first = ahead.find(({ sequenceHeader }) => !sequenceHeader);
    return source.queuedMs + (first === undefined ? 0 : newestDtsMs(ahead) - first.dtsMs);
  }

  /** What is old is passed over; pictures that the newest one hangs on are sent at once, to be decoded. */
  #skipToNewest(segment: Segment): void {
    if (segment.awaitsKeyframe) return;
    segment.ahead = takeNewest(segment.source, segment.ahead);
    const first = segment.ahead.find(({ sequenceHeader }) => !sequenceHeader);
    segment.rollUntilDtsMs = Math.max(newestDtsMs(segment.ahead) - LIVE_TARGET_MS, first?.dtsMs ?? 0);
  }

  #emit(segment: Segment, tag: MediaTag, sink: TimelineSink): void {
    const lastMs = this.#lastMs[tag.kind];
    const mappedMs = tag.dtsMs + segment.offsetMs;
    if (tag.sequenceHeader) {
      this.#filler.observe(tag);
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
    const timestampMs = Math.max(Math.round(mappedMs), Math.ceil(lastMs ?? 0));
    if (tag.kind === "video") {
      const stepMs = lastMs === undefined ? 0 : timestampMs - lastMs;
      if (stepMs > 0 && stepMs < LONGEST_FRAME_MS) this.#frameMs = stepMs;
      this.#positionMs = positionOf(segment.source, tag.positionMs ?? tag.dtsMs);
    }
    this.#lastMs[tag.kind] = timestampMs;
    // Only what the room gets: what a filler makes must follow the last picture that the decoder has seen.
    this.#filler.observe(tag);
    sink.send({ kind: tag.kind, timestampMs, payload: tag.payload }, tag);
  }

  /** Up to just before what is due then: pictures at the distance of the source's, so that none stands right before it. */
  #fillUpTo(dueMs: number, sink: TimelineSink): void {
    const frameMs = this.#frameMs;
    this.#fill("video", { clockMs: dueMs - 1, afterMs: frameMs, longestStepMs: frameMs }, sink);
    this.#fill("audio", { clockMs: dueMs - 1, afterMs: AUDIO_FRAME_MS }, sink);
  }

  /** Brings a track that is too far behind the clock up to it. */
  #fill(
    track: Track,
    { clockMs, afterMs, longestStepMs = Infinity }: { clockMs: number; afterMs: number; longestStepMs?: number },
    sink: TimelineSink,
  ): void {
    while (!this.#away) {
      const lastMs = this.#lastMs[track];
      if (lastMs === undefined || clockMs - lastMs <= afterMs) return;
      const frame = this.#fillFrame(track);
      if (frame === undefined) return;
      // Kept exact: 21.33 ms cut to 21 would make three frames of silence too many in a second of them.
      const atMs = Math.min(lastMs + Math.min(frame.durationMs, longestStepMs), clockMs);
      const timestampMs = Math.max(Math.round(atMs), Math.ceil(lastMs));
      this.#lastMs[track] = atMs;
      if (!this.#waitsForLater(clockMs)) this.#filledSinceMedia = true;
      sink.send({ kind: track, timestampMs, payload: frame.payload }, undefined);
    }
  }

  #fillFrame(track: Track): FillFrame | undefined {
    return track === "video" ? this.#filler.picture() : this.#filler.silence();
  }

  /** The source is not late: what it gives next belongs behind the clock (few pictures a second, one track at its end). */
  #waitsForLater(clockMs: number): boolean {
    const segment = this.#segment;
    if (segment === undefined || this.#paused) return false;
    const head = this.#peek(segment);
    return head !== undefined && head.dtsMs + segment.offsetMs > clockMs;
  }

  /**
   * Where a cut that is made when the clock stands at `clockMs` puts its first picture, ms. Up to a frame after the next
   * picture was due (the clock is looked at only now and then) it takes that picture's place, and the clock yields: to
   * fill so little would only show the old picture once more, right before the new one.
   */
  #nextCutMs(clockMs: number): number {
    const dueMs = this.#lastMs.video === undefined ? clockMs : this.#lastMs.video + this.#frameMs;
    return Math.round(clockMs - dueMs < this.#frameMs ? dueMs : clockMs);
  }

  #peek(segment: Segment): MediaTag | undefined {
    return segment.ahead[0] ?? segment.source.peek();
  }

  #take(segment: Segment): void {
    if (segment.ahead.shift() === undefined) segment.source.shift();
  }
}

/** Where in the source a tag stands, ms: a source that is played faster or slower has its own count of time. */
function positionOf(source: Source, dtsMs: number): number {
  const { tempo } = source.info;
  return tempo === undefined ? dtsMs : tempo.fromMs + (dtsMs - tempo.fromMs) * tempo.factor;
}
