import type { MediaTag } from "../media/media-tag.ts";
import type { OutgoingMedia } from "../publisher/publisher.ts";
import type { Source } from "../source/source.ts";
import { type FillFrame, type GapFiller, NO_FILLER } from "./gap-filler.ts";
import { initialHurryMs, LIVE_TARGET_MS, LiveLatency } from "./live-latency.ts";
import { newestDtsMs, takeNewest, takeToKeyframe, takeToNewestKeyframe } from "./take-to-keyframe.ts";

/** The lateness above which the clock is moved back instead of catching up, ms, if no gap was filled. */
const LATE_MS = 300;
/** The distance behind the clock at which a track is filled, ms: two frames at 30 fps, four frames of 48 kHz AAC. */
const FILL_AFTER_MS = { video: 70, audio: 90 } as const;
/**
 * The longest time that the clock waits for a recorded source that delivers nothing, before pictures are repeated, ms.
 */
const LONGEST_WAIT_MS = 1_500;
/** Duration of 1024 samples at 44.1 kHz, the longest audio frame that a room accepts, ms. */
const AUDIO_FRAME_MS = 1024 / 44.1;
/** Assumed time between two pictures until it has been measured, ms. */
const DEFAULT_FRAME_MS = 33;
/** The longest distance from a source's start to the requested position over which the source is fast-forwarded, ms. */
const LONGEST_ROLL_MS = 12_000;
/** The longest step between two pictures that is used to measure the frame rate, ms. */
const LONGEST_FRAME_MS = 200;

type Track = MediaTag["kind"];

export interface TimelineSink {
  /** @param tag the tag that the message was made from, or undefined if it was made to fill a gap */
  send(media: OutgoingMedia, tag: MediaTag | undefined): void;
}

/** The source that is on the air, and the mapping from its clock to the output clock. */
interface Segment {
  readonly source: Source;
  /** Output timestamp minus source DTS, ms. The offset grows when the source was late and a gap was filled. */
  offsetMs: number;
  /** The output timestamp of the cut, ms. */
  cutMs: number;
  /**
   * The DTS, ms, before which pictures are needed only for decoding: they are sent at once, a millisecond apart. Null
   * if there are no such pictures.
   */
  rollUntilDtsMs: number | null;
  /** Tags that were taken from the source while searching for a keyframe. */
  ahead: MediaTag[];
  /** The control of the latency of a live source; null for a recorded source. */
  readonly latency: LiveLatency | null;
  /** True after pictures were dropped, because the pictures before the next keyframe cannot be decoded. */
  awaitsKeyframe: boolean;
}

/**
 * The continuous output clock of a session. It reads no clock and does no I/O: the time is an argument, and media are
 * passed to the sink.
 *
 * Video and audio share one zero. Output timestamps never decrease and stay continuous when the source changes: each
 * source is shifted so that its first keyframe gets the current output time. A tag is sent when its output timestamp is
 * due. When nothing has been due for too long because the source is late, paused or gone, the filler makes the media.
 */
export class Timeline {
  readonly #filler: GapFiller;
  #segment: Segment | undefined;
  /** The wall time at which output timestamp 0 was due, or would have been due, ms; undefined before the first cut. */
  #zeroWallMs: number | undefined;
  readonly #lastMs: Record<Track, number | undefined> = { video: undefined, audio: undefined };
  /** Time between the last two pictures, ms. */
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

  /** The position in the current source of the last picture that was sent, ms. */
  get positionMs(): number {
    return this.#positionMs;
  }

  /** The number of pictures that were dropped because the room did not accept them, since the first cut. */
  get droppedFrames(): number {
    return this.#droppedFrames;
  }

  /** True if the current source has ended and all of it was sent, or if there is no current source. */
  get drained(): boolean {
    const segment = this.#segment;
    return segment === undefined || (segment.source.end !== undefined && this.#peek(segment) === undefined);
  }

  /**
   * Puts a source on the air, starting at its first keyframe. The new source's audio before that keyframe is dropped,
   * and the sound of the previous source is sent up to the cut. A copied source can only start at a keyframe. If that
   * keyframe is before `fromMs`, the pictures in between are sent at once, so that the room sees and hears the source
   * from `fromMs`.
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
    // The gap before the cut is filled, because the last picture may have been sent a while ago (a busy machine, a
    // source that had ended).
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
    // If the source's sound starts late or never, silence is sent from the first picture on.
    this.#lastMs.audio ??= cutMs - 1;
    // The first picture is sent at once, even if the clock is slightly before the cut.
    this.#zeroWallMs = nowMs - cutMs;
    // A live server starts with its current GOP. The old part of the GOP is sent at once, so that playback is at the
    // newest media.
    if (steady) this.#zeroWallMs -= initialHurryMs(newestDtsMs(ahead) - keyframeDtsMs);
  }

  /** Takes the current source off the air. The clock continues, and gaps are filled. */
  clear(): void {
    this.#segment = undefined;
  }

  /**
   * Records that the connection to the room has ended. Nothing is sent until the next cut, because a new connection
   * must start with the sequence headers and a keyframe.
   */
  leave(): void {
    this.clear();
    this.#away = true;
  }

  /** Pauses the output: the source stays at its position, and the room sees the last picture and hears silence. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** Skips the time without a connection to the room. It is not filled, because nobody sees that time. */
  #skipTo(cutMs: number): void {
    for (const track of ["video", "audio"] as const) {
      if (this.#lastMs[track] !== undefined) this.#lastMs[track] = cutMs - 1;
    }
  }

  /**
   * Drops all queued media of a live source and the pictures before its next keyframe, because the room is too slow.
   */
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
    // While there is no source to wait for, both tracks stay close to the clock, and so to each other.
    const idle = this.#paused || this.#segment === undefined;
    this.#fill("video", { clockMs, afterMs: idle ? DEFAULT_FRAME_MS : FILL_AFTER_MS.video }, sink);
    this.#fill("audio", { clockMs, afterMs: idle ? AUDIO_FRAME_MS : FILL_AFTER_MS.audio }, sink);
  }

  /**
   * Returns the part of the time since the last call for which the clock stands still, ms. The clock waits for a
   * recorded source that is slightly late (a slow disk, a busy encoder), so that nothing is lost and no picture is
   * repeated.
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

  /** Sends the pictures before the requested position at once. Returns true once that position is reached. */
  #roll(segment: Segment, untilDtsMs: number, nowMs: number, sink: TimelineSink): boolean {
    for (let tag = this.#peek(segment); tag !== undefined; tag = this.#peek(segment)) {
      if (!tag.sequenceHeader && tag.dtsMs >= untilDtsMs) {
        segment.rollUntilDtsMs = null;
        segment.cutMs = Math.max(nowMs - (this.#zeroWallMs ?? nowMs), (this.#lastMs.video ?? -1) + 1);
        segment.offsetMs = segment.cutMs - untilDtsMs;
        // The clock may have been checked late, while the pictures before the position arrived in pieces.
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

  /**
   * Shifts the clock relative to wall time, or the source relative to the clock. It never shifts one track relative to
   * the other.
   */
  #adjustPace(segment: Segment, nowMs: number, sink: TimelineSink): void {
    const head = this.#peek(segment);
    // The timestamp of a sequence header has no meaning (it is usually 0).
    if (head === undefined || head.sequenceHeader || this.#zeroWallMs === undefined) return;
    const latenessMs = nowMs - this.#zeroWallMs - (head.dtsMs + segment.offsetMs);
    if (this.#filledSinceMedia) {
      // The gap is already in the output, so the source continues after it.
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

  /** Returns the duration of the queued media of a source, from the oldest to the newest, ms. */
  #waitingMs({ ahead, source }: Segment): number {
    const first = ahead.find(({ sequenceHeader }) => !sequenceHeader);
    return source.queuedMs + (first === undefined ? 0 : newestDtsMs(ahead) - first.dtsMs);
  }

  /**
   * Skips old media. The pictures that the newest one depends on are sent at once, because they are needed to decode
   * the newest one.
   */
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
      // A sequence header may carry any timestamp (usually 0). The header gets the time of the media after it.
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
    // The filler observes only what is sent, because a repeated picture must follow the last picture that the room got.
    this.#filler.observe(tag);
    sink.send({ kind: tag.kind, timestampMs, payload: tag.payload }, tag);
  }

  /**
   * Fills both tracks up to just before `dueMs`. The filled pictures have the source's frame interval, so that none of
   * them comes right before the picture that is due at `dueMs`.
   */
  #fillUpTo(dueMs: number, sink: TimelineSink): void {
    const frameMs = this.#frameMs;
    this.#fill("video", { clockMs: dueMs - 1, afterMs: frameMs, longestStepMs: frameMs }, sink);
    this.#fill("audio", { clockMs: dueMs - 1, afterMs: AUDIO_FRAME_MS }, sink);
  }

  /** Fills a track that is too far behind the clock. */
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
      // The time is not rounded: with 21 ms instead of 21.33 ms, a second of silence would get one frame too many.
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

  /**
   * Returns true if the next frame of the source is not due yet (a low frame rate, or this track has ended). In that
   * case the source is not late, and filling does not shift it.
   */
  #waitsForLater(clockMs: number): boolean {
    const segment = this.#segment;
    if (segment === undefined || this.#paused) return false;
    const head = this.#peek(segment);
    return head !== undefined && head.dtsMs + segment.offsetMs > clockMs;
  }

  /**
   * Returns the output timestamp of the first picture of a cut that is made at `clockMs`, ms. If the next picture has
   * been due for less than a frame (the clock is checked only every tick), the new picture takes the place of that
   * picture and the clock is adjusted. Filling such a short gap would only show the old picture again, right before the
   * new one.
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

/**
 * Returns the position of a tag in the source, ms. The timestamps of a source that is played faster or slower count
 * playing time instead.
 */
function positionOf(source: Source, dtsMs: number): number {
  const { tempo } = source.info;
  return tempo === undefined ? dtsMs : tempo.fromMs + (dtsMs - tempo.fromMs) * tempo.factor;
}
