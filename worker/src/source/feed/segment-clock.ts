import type { MediaTag } from "../../media/media-tag.ts";

/**
 * A segment whose media begin this far from where the playlist says it does is on another clock, ms, unless its media
 * continue those before by no larger step: then the durations in the playlist are wrong.
 */
const LARGEST_DRIFT_MS = 3000;
/** A step back of no more than this is jitter, ms. */
const LARGEST_STEP_BACK_MS = 300;
/** Sound whose own place is within this of the picture's clock is on that clock, ms. */
const SAME_CLOCK_MS = 2000;
/** Sound that waits for the first picture of a segment, tags; a second and a half of AAC. */
const MAX_HELD_TAGS = 64;

/** Where a part of the media begins on the playlist's clock. */
export interface PlacedPart {
  readonly startMs: number;
  /** Undefined where that is not known: its clock is trusted then, once it has begun. */
  readonly durationMs?: number | undefined;
  /** Its own clock need not continue that of the part before. */
  readonly discontinuity: boolean;
}

export interface SegmentLane {
  /** The tags that follow are of this segment. */
  begin(segment: PlacedPart): void;
  take(tag: MediaTag): void;
  /** The segment is over: what waits for a picture is placed without one. */
  flush(): void;
  /** What follows is no continuation. */
  breakHere(): void;
}

type Give = (tag: MediaTag, breaks: boolean) => void;

/**
 * Places the media of segments on the clock of their playlist. Where a run of segments begins (at a discontinuity, or
 * where the media's own clock is found to have jumped without one) its first picture stands where the playlist puts its
 * segment; from there on the media's own clock counts.
 */
export class SegmentClock {
  /** From the media's clock to the playlist's, ms, as the main rendition has it; undefined before its first tag. */
  #mainOffsetMs: number | undefined;
  #begun = false;

  /** Media have been placed. */
  get begun(): boolean {
    return this.#begun;
  }

  /** @param give takes the placed tags; `breaks`: this is the first tag of its track behind a discontinuity */
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
  /** The offset that holds, given the one that the lane has found by itself. */
  readonly settle: (ownOffsetMs: number) => number;
}

/** The last tag of a kind, on its own clock, and what placed it. */
interface LastPlaced {
  readonly dtsMs: number;
  readonly offsetMs: number;
}

class Lane implements SegmentLane {
  readonly #options: LaneOptions;
  #offsetMs: number | undefined;
  #segment: PlacedPart = { startMs: 0, discontinuity: false };
  /** Nothing that belongs to the segment has come yet. */
  #arriving = false;
  #held: MediaTag[] = [];
  #breaks = { video: false, audio: false };
  readonly #last: Partial<Record<MediaTag["kind"], LastPlaced>> = {};
  /** The other track has jumped; this one's last tags before its own jump may come behind that. */
  #straggling: MediaTag["kind"] | undefined;
  /** The first run continues nothing. */
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

  /** The first media of a segment; false: the tag was dealt with. */
  #arrive(tag: MediaTag): boolean {
    const { startMs } = this.#segment;
    if (this.#offsetMs !== undefined) {
      const driftMs = shownAtMs(tag) + this.#offsetMs - startMs;
      // The last tags of the segment before may come only now: parts of one file are not read to their ends.
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

  /** The media's own clock goes on from what was placed last, wherever the playlist puts its segment. */
  #continues(tag: MediaTag): boolean {
    const last = this.#last[tag.kind] ?? this.#last[tag.kind === "video" ? "audio" : "video"];
    if (last === undefined || last.offsetMs !== this.#offsetMs) return false;
    const stepMs = tag.dtsMs - last.dtsMs;
    return stepMs >= -LARGEST_STEP_BACK_MS && stepMs <= LARGEST_DRIFT_MS;
  }

  /** Behind the beginning of a segment both must be so: a large step, and to where its media cannot be. */
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

  /** Places a tag that was left behind when the other track's clock jumped. */
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
