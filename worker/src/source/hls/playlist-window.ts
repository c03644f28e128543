import type { MediaPlaylist, PlaylistSegment } from "./media-playlist.ts";
import { sequenceIv } from "./segment-key.ts";

/** The effect of a reloaded playlist on the window. */
export type WindowChange =
  /** The playlist has new segments or an end. */
  | "grown"
  | "unchanged"
  /** The playlist is an older one, for example from a cache, and was ignored. */
  | "stale"
  /** The sequence numbers restarted or jumped, so the encoder is taken to have restarted. */
  | "restarted";

/**
 * The number of segments by which a playlist from a cache may be behind. One that is further behind may come from a
 * restarted encoder.
 */
const MAX_CACHE_LAG = 2;
/**
 * After this many playlists in a row that are behind but grow, the encoder is taken to have restarted, even if the
 * names of the segments are known.
 */
const BEHIND_UNTIL_RESTART = 3;
/**
 * The most segments that may have been missed. A larger jump of the sequence numbers is taken for a restart of the
 * encoder.
 */
const MAX_MISSED = 10_000;
const MAX_MISSED_MS = 3600 * 1000;

/** The newest state of a media playlist, and its position on the clock that all renditions of a presentation share. */
export class PlaylistWindow {
  #playlist: MediaPlaylist;
  /** The playlist's beginning on the clock that all renditions share, ms. */
  #baseMs: number;
  #behind: { readonly count: number; readonly last: number } | undefined;
  #epoch = 0;

  constructor(playlist: MediaPlaylist, baseMs: number) {
    this.#playlist = playlist;
    this.#baseMs = baseMs;
  }

  get playlist(): MediaPlaylist {
    return this.#playlist;
  }

  get baseMs(): number {
    return this.#baseMs;
  }

  /** The number of restarts so far. */
  get epoch(): number {
    return this.#epoch;
  }

  get first(): PlaylistSegment | undefined {
    return this.#playlist.segments[0];
  }

  get last(): PlaylistSegment | undefined {
    return this.#playlist.segments.at(-1);
  }

  get endMs(): number {
    return this.#baseMs + this.#playlist.durationMs;
  }

  startMsOf(segment: PlaylistSegment): number {
    return this.#baseMs + segment.offsetMs;
  }

  /**
   * Returns the segment with a sequence number, or undefined if the playlist does not have it yet or no longer has it.
   */
  bySequence(sequence: number): PlaylistSegment | undefined {
    const first = this.first;
    return first === undefined ? undefined : this.#playlist.segments[sequence - first.sequence];
  }

  /** Returns the first segment that ends after a time, or undefined if there is none, by a binary search. */
  at(timeMs: number): PlaylistSegment | undefined {
    const { segments } = this.#playlist;
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const segment = segments[middle];
      if (segment !== undefined && this.startMsOf(segment) + segment.durationMs <= timeMs) low = middle + 1;
      else high = middle;
    }
    return segments[low];
  }

  update(loaded: MediaPlaylist): WindowChange {
    const next = this.#renumbered(loaded);
    const change = this.#compare(next);
    if (change !== "behind") this.#behind = undefined;
    switch (change) {
      case "unchanged":
      case "stale":
        return change;
      case "ended":
        this.#playlist = { ...this.#playlist, complete: true };
        return "grown";
      case "grown":
        this.#baseMs = this.#continuedBaseMs(next);
        this.#playlist = next;
        return "grown";
      default:
        if (change === "behind" && !this.#isBehindForGood(next)) return "stale";
        this.#restart(next);
        return "restarted";
    }
  }

  /**
   * Compares a reloaded playlist with the present one. Returns `ended` if the reloaded one only adds the end, and
   * `behind` if it is either an older state or comes from a restart.
   */
  #compare(next: MediaPlaylist): WindowChange | "behind" | "ended" {
    const ends = next.complete && !this.#playlist.complete;
    const [oldFirst, oldLast, newFirst, newLast] = [this.first, this.last, next.segments[0], next.segments.at(-1)];
    // An empty playlist is assumed to be temporary unless it has an end tag.
    if (newFirst === undefined || newLast === undefined) return ends ? "ended" : "unchanged";
    if (oldFirst === undefined || oldLast === undefined) return "grown";
    if (newFirst.sequence > oldLast.sequence) {
      const missed = newFirst.sequence - oldLast.sequence - 1;
      const missedMs = missed * this.#playlist.targetDurationMs;
      return missed > MAX_MISSED || missedMs > MAX_MISSED_MS ? "restarted" : "grown";
    }
    // Some servers renumber the playlist when they end it.
    if (ends && newLast.sequence !== oldLast.sequence && fileName(newLast.uri) === fileName(oldLast.uri))
      return "ended";
    const [oldDate, newDate] = [oldLast.programDateTimeMs, newLast.programDateTimeMs];
    const dated = oldDate !== null && newDate !== null;
    if (newLast.sequence >= oldFirst.sequence && !this.#agreesWith(next)) {
      return dated && newDate < oldDate ? "stale" : "restarted";
    }
    if (newLast.sequence > oldLast.sequence) return "grown";
    if (newLast.sequence === oldLast.sequence) return ends ? "grown" : "unchanged";
    if (ends) return oldLast.sequence - newLast.sequence <= MAX_CACHE_LAG ? "ended" : "restarted";
    if (dated) return newDate > oldDate ? "restarted" : "stale";
    if (newLast.sequence < oldFirst.sequence && !this.#knowsNames(next)) return "restarted";
    return oldLast.sequence - newLast.sequence <= MAX_CACHE_LAG ? "stale" : "behind";
  }

  /**
   * Some servers number every playlist from 0, or change the numbers after a restart, and keep the same segments. These
   * segments are recognised by their names and get their old numbers. Numbers that continue are kept, because names may
   * be reused.
   */
  #renumbered(next: MediaPlaylist): MediaPlaylist {
    const [oldLast, newFirst] = [this.last, next.segments[0]];
    if (oldLast === undefined || newFirst === undefined || newFirst.sequence > oldLast.sequence) return next;
    if ((next.segments.at(-1)?.sequence ?? 0) >= (this.first?.sequence ?? 0) && this.#agreesWith(next)) return next;
    const named = this.#playlist.segments.slice(0, NAMES_COMPARED);
    const numbers = new Map(named.map((segment) => [segmentName(segment), segment.sequence]));
    if (numbers.size < named.length) return next;
    const known = next.segments.slice(0, NAMES_COMPARED).find((segment) => numbers.has(segmentName(segment)));
    if (known === undefined) return next;
    const offset = (numbers.get(segmentName(known)) ?? 0) - known.sequence;
    return { ...next, segments: next.segments.map((segment) => shifted(segment, offset)) };
  }

  /** Returns true if a segment has the same number and name in both playlists, or if they have no number in common. */
  #agreesWith(next: MediaPlaylist): boolean {
    const names = next.segments.slice(-OVERLAP_CHECKED).concat(next.segments.slice(0, OVERLAP_CHECKED));
    let compared = false;
    for (const segment of names) {
      const known = this.bySequence(segment.sequence);
      if (known === undefined) continue;
      compared = true;
      if (segmentName(known) === segmentName(segment)) return true;
    }
    return !compared;
  }

  #knowsNames(next: MediaPlaylist): boolean {
    const names = new Set(this.#playlist.segments.slice(0, NAMES_COMPARED).map(segmentName));
    return next.segments.slice(0, NAMES_COMPARED).some((segment) => names.has(segmentName(segment)));
  }

  #isBehindForGood(next: MediaPlaylist): boolean {
    const last = next.segments.at(-1)?.sequence ?? 0;
    const before = this.#behind;
    if (before === undefined || last < before.last) this.#behind = { count: 1, last };
    else if (last > before.last) this.#behind = { count: before.count + 1, last };
    return (this.#behind?.count ?? 0) >= BEHIND_UNTIL_RESTART;
  }

  #restart(next: MediaPlaylist): void {
    this.#baseMs = this.endMs;
    this.#playlist = next;
    this.#behind = undefined;
    this.#epoch += 1;
  }

  #continuedBaseMs(next: MediaPlaylist): number {
    const newFirst = next.segments[0];
    const oldLast = this.last;
    if (newFirst === undefined) return this.endMs;
    if (oldLast === undefined) return this.#baseMs;
    const known = this.bySequence(newFirst.sequence);
    if (known !== undefined) return this.startMsOf(known);
    const before = this.first;
    if (before !== undefined && newFirst.sequence < before.sequence) {
      // If the playlist now begins earlier than before, a segment that both states contain gives its beginning.
      const common = next.segments[before.sequence - newFirst.sequence];
      return common === undefined ? this.#baseMs : this.#baseMs - common.offsetMs;
    }
    const missedMs = (newFirst.sequence - oldLast.sequence - 1) * this.#playlist.targetDurationMs;
    return this.endMs + missedMs;
  }
}

const OVERLAP_CHECKED = 50;
/**
 * The most segments whose names are compared. Two successive states of a renumbered playlist differ by a few segments
 * only, so the beginnings of both are enough.
 */
const NAMES_COMPARED = 5000;
/** The largest plausible distance between the ends of two live playlists of one presentation, ms. */
const MAX_DATES_APART_MS = 120_000;

function shifted(segment: PlaylistSegment, offset: number): PlaylistSegment {
  const { key, sequence } = segment;
  // Without an explicit IV, the initialisation vector is the sequence number in the segment's own playlist.
  const ownKey = key?.method === "AES-128" && key.iv === null ? { ...key, iv: sequenceIv(sequence) } : key;
  return { ...segment, key: ownKey, sequence: sequence + offset };
}

function segmentName({ uri, range }: PlaylistSegment): string {
  return `${fileName(uri)} ${range?.start ?? ""}`;
}

/** Returns the last part of an address without its query. It stays the same when tokens in addresses change. */
function fileName(uri: string): string {
  const end = uri.search(/[?#]/);
  const path = end === -1 ? uri : uri.slice(0, end);
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * Returns the beginning of a rendition's playlist on the clock of another rendition, ms. Recorded playlists are assumed
 * to begin together. Live ones are aligned by their dates, or else by their sequence numbers. If neither can be
 * compared, they are assumed to end together. Pure.
 */
export function alignedBaseMs(playlist: MediaPlaylist, other: PlaylistWindow): number {
  const [first, last] = [playlist.segments[0], playlist.segments.at(-1)];
  const [otherFirst, otherLast] = [other.first, other.last];
  if (playlist.complete && other.playlist.complete) return other.baseMs;
  if (first === undefined || last === undefined || otherFirst === undefined || otherLast === undefined)
    return other.baseMs;
  if (first.programDateTimeMs !== null && otherFirst.programDateTimeMs !== null) {
    const baseMs = other.baseMs + first.programDateTimeMs - otherFirst.programDateTimeMs;
    // Both live playlists end near the present. If their dates say otherwise, the clocks of their encoders disagree.
    if (Math.abs(baseMs + playlist.durationMs - other.endMs) <= MAX_DATES_APART_MS) return baseMs;
  }
  const common = other.bySequence(first.sequence);
  if (common !== undefined) return other.startMsOf(common);
  const ahead = playlist.segments[otherFirst.sequence - first.sequence];
  if (ahead !== undefined) return other.baseMs - ahead.offsetMs;
  return other.endMs - playlist.durationMs;
}
