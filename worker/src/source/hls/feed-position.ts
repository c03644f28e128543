import type { Logger } from "pino";
import type { HlsTrack } from "./hls-segment.ts";
import { liveStart, maxDistanceMs, segmentLengthMs } from "./live-edge.ts";
import type { PlaylistSegment } from "./media-playlist.ts";
import type { PlaylistWindow } from "./playlist-window.ts";

/** Durations in playlists are rounded. */
const ROUNDING_MS = 1;

/** What the renditions of one presentation share. */
export interface LiveFloor {
  /** What ends before this time on the common clock is not played any more, ms. */
  floorMs: number;
}

export interface FeedPositionOptions {
  readonly track: HlsTrack;
  readonly logger: Logger;
  /** Begins near the newest and stays there, instead of playing everything from `fromMs` on. */
  readonly live: boolean;
  readonly fromMs: number;
  readonly floor: LiveFloor;
}

/** Where a rendition is in its list: which segment comes next, and whether that one continues the one before. */
export class FeedPosition {
  readonly #options: FeedPositionOptions;
  /** undefined: where to begin is not decided yet. */
  #nextSequence: number | undefined;
  #epoch = 0;
  #breaks = true;

  constructor(options: FeedPositionOptions) {
    this.#options = options;
  }

  /** The segment that is to come next, if the list has it. */
  next(window: PlaylistWindow): PlaylistSegment | undefined {
    return this.#nextSequence === undefined ? undefined : window.bySequence(this.#nextSequence);
  }

  /**
   * A segment was given; what follows it comes next.
   *
   * @returns whether it did not continue the one that was given before
   */
  passed(segment: PlaylistSegment): boolean {
    const breaks = this.#breaks || segment.sequence !== this.#nextSequence;
    this.#breaks = false;
    this.#nextSequence = segment.sequence + 1;
    return breaks;
  }

  /** A segment is not to be had, and everything before it neither. */
  leaveOut(segment: PlaylistSegment): void {
    this.#breaks = true;
    this.#nextSequence = segment.sequence + 1;
  }

  /** Decides where to go on: at the beginning, after a restart, and when the place has left the list. */
  settle(window: PlaylistWindow): void {
    const { live, track, floor, fromMs, logger } = this.#options;
    const { first, last } = window;
    if (first === undefined || last === undefined) return;
    const next = this.next(window);
    if (this.#epoch !== window.epoch) {
      this.#epoch = window.epoch;
      this.#goTo(live ? this.#edge(window) : first);
    } else if (this.#nextSequence === undefined) {
      const start = live ? this.#edge(window) : window.at(fromMs + ROUNDING_MS);
      if (start !== undefined) this.#goTo(start);
      else if (window.playlist.complete) this.#nextSequence = last.sequence + 1;
    } else if (this.#nextSequence < first.sequence) {
      logger.warn(
        { track, missed: first.sequence - this.#nextSequence },
        "Segments left the live playlist before they were read; playing goes on further ahead.",
      );
      this.#goTo(live && !window.playlist.complete ? this.#edge(window) : first);
    } else if (live && !window.playlist.complete && next !== undefined) {
      const startMs = window.startMsOf(next);
      const isBehind = window.endMs - startMs > maxDistanceMs(window.playlist);
      if (!isBehind && startMs + next.durationMs > floor.floorMs) return;
      const edge = this.#edge(window);
      if (edge === undefined || edge.sequence <= next.sequence) return;
      logger.info(
        { track, behindMs: Math.round(window.endMs - startMs) },
        "The stream had fallen behind its live playlist; playing goes on near the newest segment.",
      );
      this.#goTo(edge);
    }
  }

  /**
   * Where live playing begins. The rendition that decides first sets the place for the others, whose lists may be a
   * little newer or older.
   */
  #edge(window: PlaylistWindow): PlaylistSegment | undefined {
    const { floor } = this.#options;
    const own = liveStart(window);
    if (own === undefined) return undefined;
    const ownMs = window.startMsOf(own);
    const isNear = Math.abs(ownMs - floor.floorMs) <= 3 * segmentLengthMs(window.playlist);
    const joined = isNear ? window.at(floor.floorMs + ROUNDING_MS) : undefined;
    if (joined !== undefined) return joined;
    floor.floorMs = Math.max(floor.floorMs, ownMs);
    return own;
  }

  #goTo(segment: PlaylistSegment | undefined): void {
    if (segment === undefined) return;
    if (this.#nextSequence !== undefined) this.#breaks = true;
    this.#nextSequence = segment.sequence;
  }

  /** Another variant takes over at the beginning of the next segment. */
  moveTo(window: PlaylistWindow, old: PlaylistWindow): void {
    const next = this.next(old);
    const nextMs = next === undefined ? old.endMs : old.startMsOf(next);
    this.#epoch = 0;
    this.#breaks = true;
    if (this.#nextSequence === undefined) return;
    const found = window.at(nextMs + ROUNDING_MS);
    if (found !== undefined) {
      // Where the boundaries differ, less than half of a segment is played twice rather than left out.
      const overlapMs = nextMs - window.startMsOf(found);
      this.#nextSequence = found.sequence + (overlapMs > found.durationMs / 2 ? 1 : 0);
    } else if (window.last !== undefined) {
      // Its list is older by some segments, which were played already.
      const ahead = Math.max(0, Math.round((nextMs - window.endMs) / segmentLengthMs(window.playlist)));
      this.#nextSequence = window.last.sequence + 1 + ahead;
    }
  }
}
