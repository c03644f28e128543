import type { Logger } from "pino";
import type { HlsTrack } from "./hls-segment.ts";
import { liveStart, maxDistanceMs, segmentLengthMs } from "./live-edge.ts";
import type { PlaylistSegment } from "./media-playlist.ts";
import type { PlaylistWindow } from "./playlist-window.ts";

/**
 * The tolerance for rounded durations in playlists, ms. It keeps a segment that ends at the wanted time from being
 * chosen.
 */
const ROUNDING_MS = 1;

/** State that the renditions of one live presentation share. */
export interface LiveFloor {
  /** A time on the clock that all renditions share, ms. Segments that end before it are no longer played. */
  floorMs: number;
}

export interface FeedPositionOptions {
  readonly track: HlsTrack;
  readonly logger: Logger;
  /** True to begin near the newest segment and stay there, false to play everything from `fromMs` on. */
  readonly live: boolean;
  readonly fromMs: number;
  readonly floor: LiveFloor;
}

/**
 * The position of a rendition in its playlist. It knows the next segment, and whether that segment continues the
 * previous one.
 */
export class FeedPosition {
  readonly #options: FeedPositionOptions;
  /** The sequence number of the next segment, or undefined until the first segment is chosen. */
  #nextSequence: number | undefined;
  #epoch = 0;
  #breaks = true;

  constructor(options: FeedPositionOptions) {
    this.#options = options;
  }

  /** Returns the next segment, or undefined if the playlist does not have that segment. */
  next(window: PlaylistWindow): PlaylistSegment | undefined {
    return this.#nextSequence === undefined ? undefined : window.bySequence(this.#nextSequence);
  }

  /**
   * Moves past a segment that was given to the reader.
   *
   * @returns true if the segment does not continue the one that was given before it
   */
  passed(segment: PlaylistSegment): boolean {
    const breaks = this.#breaks || segment.sequence !== this.#nextSequence;
    this.#breaks = false;
    this.#nextSequence = segment.sequence + 1;
    return breaks;
  }

  /** Moves past a segment that cannot be read. The next segment then does not continue the last one that was given. */
  leaveOut(segment: PlaylistSegment): void {
    this.#breaks = true;
    this.#nextSequence = segment.sequence + 1;
  }

  /**
   * Chooses the next segment: at the beginning, after a restart of the playlist, if the present choice has left the
   * playlist, or if a live stream has fallen behind.
   */
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
        "Segments left the live playlist before they were read; playing continues with a later segment.",
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
        "The stream had fallen behind its live playlist; playing continues near the newest segment.",
      );
      this.#goTo(edge);
    }
  }

  /**
   * Returns the segment at which live playing begins. The first rendition that chooses a segment sets the time for the
   * other renditions, whose playlists may be slightly newer or older.
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

  /** Continues with another variant's playlist, at the beginning of the next segment. */
  moveTo(window: PlaylistWindow, old: PlaylistWindow): void {
    const next = this.next(old);
    const nextMs = next === undefined ? old.endMs : old.startMsOf(next);
    this.#epoch = 0;
    this.#breaks = true;
    if (this.#nextSequence === undefined) return;
    const found = window.at(nextMs + ROUNDING_MS);
    if (found !== undefined) {
      // If the boundaries differ, up to half of a segment is played twice rather than left out.
      const overlapMs = nextMs - window.startMsOf(found);
      this.#nextSequence = found.sequence + (overlapMs > found.durationMs / 2 ? 1 : 0);
    } else if (window.last !== undefined) {
      // If the new variant's playlist ends earlier, all its present segments were already played.
      const ahead = Math.max(0, Math.round((nextMs - window.endMs) / segmentLengthMs(window.playlist)));
      this.#nextSequence = window.last.sequence + 1 + ahead;
    }
  }
}
