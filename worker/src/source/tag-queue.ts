import type { MediaTag } from "../media/media-tag.ts";
import type { ContinuousClock } from "./continuous-clock.ts";
import type { Source, SourceEnd } from "./source.ts";

/**
 * The payload bytes above which the producer is asked to pause: about 2 s at 2 Mbit/s. Below `RESUME_BYTES` it is asked
 * to resume.
 */
const PAUSE_BYTES = 512 * 1024;
const RESUME_BYTES = 128 * 1024;

export interface TagQueueOptions {
  /** Makes the tags' timestamps continuous; unless a clock is given, the timestamps are left unchanged. */
  readonly clock?: ContinuousClock | undefined;
  /** The number of payload bytes above which the queue is full; the limit of a recorded source unless given. */
  readonly pauseBytes?: number | undefined;
  /** Called when the queue is full and the producer has to stop reading. */
  readonly onPause?: () => void;
  /** Called when the queue has room again. */
  readonly onResume?: () => void;
}

/** The bounded queue of a `Source`. */
export class TagQueue implements Pick<Source, "peek" | "shift" | "end" | "queuedBytes" | "queuedMs" | "onReadable"> {
  onReadable: (() => void) | undefined;
  readonly #options: TagQueueOptions;
  readonly #pauseBytes: number;
  /** A list with a moving head, because `shift()` of a long array would move all later elements. */
  #tags: (MediaTag | undefined)[] = [];
  #head = 0;
  #queuedBytes = 0;
  #newestDtsMs = Number.NEGATIVE_INFINITY;
  #paused = false;
  #end: SourceEnd | undefined;

  constructor(options: TagQueueOptions = {}) {
    this.#options = options;
    this.#pauseBytes = options.pauseBytes ?? PAUSE_BYTES;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get queuedMs(): number {
    // Sequence headers are skipped: their timestamp has no meaning and is mostly 0.
    for (let at = this.#head; at < this.#tags.length; at += 1) {
      const tag = this.#tags[at];
      if (tag !== undefined && !tag.sequenceHeader) return Math.max(0, this.#newestDtsMs - tag.dtsMs);
    }
    return 0;
  }

  get end(): SourceEnd | undefined {
    return this.#end;
  }

  /** Adds a tag. Does nothing after `finish`. */
  push(given: MediaTag): void {
    if (this.#end !== undefined) return;
    const tag = this.#continuous(given);
    const wasEmpty = this.#head === this.#tags.length;
    this.#tags.push(tag);
    this.#queuedBytes += tag.payload.length;
    if (!tag.sequenceHeader) this.#newestDtsMs = Math.max(this.#newestDtsMs, tag.dtsMs);
    if (!this.#paused && this.#queuedBytes > this.#pauseBytes) {
      this.#paused = true;
      this.#options.onPause?.();
    }
    if (wasEmpty) this.onReadable?.();
  }

  #continuous(tag: MediaTag): MediaTag {
    const { clock } = this.#options;
    if (clock === undefined || tag.sequenceHeader) return tag;
    const shiftMs = clock.shiftMs(tag.kind, tag.dtsMs);
    return shiftMs === 0 ? tag : { ...tag, dtsMs: tag.dtsMs + shiftMs, positionMs: tag.positionMs ?? tag.dtsMs };
  }

  /** Sets the end. Later calls have no effect. */
  finish(end: SourceEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.onReadable?.();
  }

  peek(): MediaTag | undefined {
    return this.#tags[this.#head];
  }

  shift(): MediaTag | undefined {
    const tag = this.#tags[this.#head];
    if (tag === undefined) return undefined;
    this.#tags[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#tags.length) {
      this.#tags = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#tags.length) {
      this.#tags = this.#tags.slice(this.#head);
      this.#head = 0;
    }
    this.#queuedBytes -= tag.payload.length;
    if (this.#paused && this.#queuedBytes < RESUME_BYTES) {
      this.#paused = false;
      this.#options.onResume?.();
    }
    return tag;
  }

  /** Drops the queued tags and keeps the end. */
  clear(): void {
    this.#tags = [];
    this.#head = 0;
    this.#queuedBytes = 0;
  }
}
