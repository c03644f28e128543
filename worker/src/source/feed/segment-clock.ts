import type { MediaTag } from "../../media/media-tag.ts";

/**
 * The largest distance between the beginning of a segment's media and its place in the playlist, ms. Beyond it the
 * segment is on another clock, unless its media continue the previous media by no larger step: then the durations in
 * the playlist are wrong.
 */
const LARGEST_DRIFT_MS = 3000;
/** The largest step back of the clock that counts as jitter, ms. */
const LARGEST_STEP_BACK_MS = 300;
/** The largest difference between the offsets of sound and picture at which both count as being on one clock, ms. */
const SAME_CLOCK_MS = 2000;
/** The most sound tags that wait for the first picture of a segment: a second and a half of AAC. */
const MAX_HELD_TAGS = 64;

/** The place of a segment on the playlist's clock. */
export interface PlacedPart {
  readonly startMs: number;
  /**
   * Undefined if unknown. In that case no jump is looked for inside the segment, and the media's own clock is trusted.
   */
  readonly durationMs?: number | undefined;
  /** True if the segment's clock may differ from that of the previous segment. */
  readonly discontinuity: boolean;
}

export interface SegmentLane {
  /** Begins a segment, to which the following tags belong. */
  begin(segment: PlacedPart): void;
  take(tag: MediaTag): void;
  /** Ends the segment. Sound that waits for a picture is placed without one. */
  flush(): void;
  /** Announces that the following media do not continue the previous ones. */
  breakHere(): void;
}

type Give = (tag: MediaTag, breaks: boolean) => void;

/**
 * Places the media of segments on the clock of their playlist. Where a run of segments begins (at a discontinuity, or
 * where the media's own clock is found to have jumped without one) the first picture is placed where the playlist puts
 * its segment. From there on the media's own clock counts.
 */
export class SegmentClock {
  /** The offset of the main rendition from the media's clock to the playlist's, ms; undefined before its first tag. */
  #mainOffsetMs: number | undefined;
  #begun = false;

  /** True after media were placed. */
  get begun(): boolean {
    return this.#begun;
  }

  /**
   * @param give takes the placed tags; its argument `breaks` is true for the first tag of a track after a
   *   discontinuity
   */
  lane(track: "main" | "audio", give: Give): SegmentLane {
    return new Lane({
      give: (tag, breaks) => {
        this.#begun = true;
        give(tag, breaks);
      },
      settle: (ownOffsetMs) => {
        if (track === "main") this.#mainOffsetMs = ownOffsetMs;
        const mainMs = this.#mainOffsetMs;
        return mainMs !== undefined && Math.abs(mainMs - ownOffsetMs) < SAME_CLOCK_MS ? mainMs : ownOffsetMs;
      },
    });
  }
}

interface LaneOptions {
  readonly give: Give;
  /** Returns the offset to use, given the one that the lane has found. */
  readonly settle: (ownOffsetMs: number) => number;
}

/** The last tag of a kind: its time on its own clock and the offset that placed it. */
interface LastPlaced {
  readonly dtsMs: number;
  readonly offsetMs: number;
}

class Lane implements SegmentLane {
  readonly #options: LaneOptions;
  #offsetMs: number | undefined;
  #segment: PlacedPart = { startMs: 0, discontinuity: false };
  /** True until media of the segment have come. */
  #arriving = false;
  #held: MediaTag[] = [];
  #breaks = { video: false, audio: false };
  readonly #last: Partial<Record<MediaTag["kind"], LastPlaced>> = {};
  /** The track that may still have tags from before the jump, because the other track has jumped first. */
  #straggling: MediaTag["kind"] | undefined;
  /** True for the first run, which does not continue earlier media. */
  #first = true;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  begin(segment: PlacedPart): void {
    this.flush();
    this.#segment = segment;
    this.#arriving = true;
    this.#straggling = undefined;
    if (segment.discontinuity) this.breakHere();
  }

  breakHere(): void {
    this.#offsetMs = undefined;
  }

  take(tag: MediaTag): void {
    if (!tag.sequenceHeader) {
      if (this.#straggles(tag)) return;
      if (this.#leapsInside(tag)) this.#leap(tag);
      if (this.#arriving && !this.#arrive(tag)) return;
    }
    if (this.#offsetMs === undefined) this.#held.push(tag);
    else this.#place(tag, this.#offsetMs);
  }

  flush(): void {
    const first = this.#held.find(({ sequenceHeader }) => !sequenceHeader);
    if (first !== undefined && this.#offsetMs === undefined) {
      this.#settle(first, this.#arriving ? this.#segment.startMs : 0);
    }
    this.#arriving = false;
  }

  /** Handles the first media of a segment. Returns true if the tag still has to be placed. */
  #arrive(tag: MediaTag): boolean {
    const { startMs } = this.#segment;
    if (this.#offsetMs !== undefined) {
      const driftMs = shownAtMs(tag) + this.#offsetMs - startMs;
      // The last tags of the previous segment may come only now, because the demuxer is not flushed between segments
      // that are adjacent ranges of one file.
      if (Math.abs(driftMs) <= LARGEST_DRIFT_MS) {
        this.#arriving = driftMs < 0;
        return true;
      }
      if (this.#continues(tag)) return true;
      this.#leap(tag);
    }
    this.#held.push(tag);
    // The playlist counts from the first picture; sound alone counts from its own beginning.
    if (tag.kind === "audio" && this.#held.length < MAX_HELD_TAGS) return false;
    const first = this.#held.find(({ sequenceHeader }) => !sequenceHeader) ?? tag;
    this.#settle(tag.kind === "video" ? tag : first, startMs);
    return false;
  }

  /** Returns true if the media's own clock continues from the last placed media, independent of the playlist. */
  #continues(tag: MediaTag): boolean {
    const last = this.#last[tag.kind] ?? this.#last[tag.kind === "video" ? "audio" : "video"];
    if (last === undefined || last.offsetMs !== this.#offsetMs) return false;
    const stepMs = tag.dtsMs - last.dtsMs;
    return stepMs >= -LARGEST_STEP_BACK_MS && stepMs <= LARGEST_DRIFT_MS;
  }

  /** Returns true if the clock jumps inside a segment: the step is large, and the time is outside the segment. */
  #leapsInside(tag: MediaTag): boolean {
    const { startMs, durationMs } = this.#segment;
    const last = this.#last[tag.kind];
    if (this.#offsetMs === undefined || durationMs === undefined || last === undefined) return false;
    if (Math.abs(tag.dtsMs - last.dtsMs) <= LARGEST_DRIFT_MS) return false;
    const atMs = shownAtMs(tag) + this.#offsetMs;
    return atMs < startMs - LARGEST_DRIFT_MS || atMs > startMs + durationMs + LARGEST_DRIFT_MS;
  }

  #leap({ kind }: MediaTag): void {
    this.#offsetMs = undefined;
    this.#arriving = true;
    this.#straggling = kind === "video" ? "audio" : "video";
  }

  /** Places a late tag from before the jump of the other track's clock. Returns false if the tag is not such a tag. */
  #straggles(tag: MediaTag): boolean {
    if (tag.kind !== this.#straggling) return false;
    const last = this.#last[tag.kind];
    if (last === undefined || Math.abs(tag.dtsMs - last.dtsMs) > LARGEST_DRIFT_MS) {
      this.#straggling = undefined;
      return false;
    }
    this.#give(tag, last.offsetMs, false);
    return true;
  }

  #settle(tag: MediaTag, startMs: number): void {
    const offsetMs = this.#options.settle(startMs - shownAtMs(tag));
    this.#offsetMs = offsetMs;
    this.#arriving = false;
    if (!this.#first) this.#breaks = { video: true, audio: true };
    this.#first = false;
    for (const held of this.#held.splice(0)) this.#place(held, offsetMs);
  }

  #place(tag: MediaTag, offsetMs: number): void {
    const breaks = this.#breaks[tag.kind] && !tag.sequenceHeader;
    if (breaks) this.#breaks[tag.kind] = false;
    this.#give(tag, offsetMs, breaks);
  }

  #give(tag: MediaTag, offsetMs: number, breaks: boolean): void {
    if (!tag.sequenceHeader) this.#last[tag.kind] = { dtsMs: tag.dtsMs, offsetMs };
    this.#options.give({ ...tag, dtsMs: tag.dtsMs + offsetMs }, breaks);
  }
}

function shownAtMs(tag: MediaTag): number {
  return tag.dtsMs + tag.compositionMs;
}
