import type { MediaTag } from "../media/media-tag.ts";
import type { ContinuousClock } from "./continuous-clock.ts";
import type { Source, SourceEnd, SourceInfo } from "./source.ts";
import { TagQueue } from "./tag-queue.ts";

/** The base class of all sources. Its subclass fills `queue`, and the timeline empties it. */
export abstract class QueuedSource implements Source {
  abstract readonly info: SourceInfo;
  protected readonly queue: TagQueue;

  /**
   * @param clock makes the timestamps of queued tags continuous; undefined if they already are
   * @param pauseBytes see `TagQueueOptions`
   */
  constructor(clock?: ContinuousClock, pauseBytes?: number) {
    this.queue = new TagQueue({
      clock,
      pauseBytes,
      onPause: () => this.pauseReading(),
      onResume: () => this.resumeReading(),
    });
  }

  get end(): SourceEnd | undefined {
    return this.queue.end;
  }

  get queuedBytes(): number {
    return this.queue.queuedBytes;
  }

  get queuedMs(): number {
    return this.queue.queuedMs;
  }

  get onReadable(): (() => void) | undefined {
    return this.queue.onReadable;
  }

  set onReadable(listener: (() => void) | undefined) {
    this.queue.onReadable = listener;
  }

  peek(): MediaTag | undefined {
    return this.queue.peek();
  }

  shift(): MediaTag | undefined {
    return this.queue.shift();
  }

  abstract close(): Promise<void>;

  /** Called once when the queue is full, and not again before `resumeReading`. */
  protected abstract pauseReading(): void;

  /** Called when the queue has room again. */
  protected abstract resumeReading(): void;
}
