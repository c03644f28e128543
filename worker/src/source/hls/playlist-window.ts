import type { MediaPlaylist, PlaylistSegment } from "./media-playlist.ts";
import { sequenceIv } from "./segment-key.ts";

/** What a playlist that was loaded again brought. */
export type WindowChange =
  /** New segments, or its end. */
  | "grown"
  | "unchanged"
  /** An older state of the list, as a cache has it. Nothing was taken from it. */
  | "stale"
  /** The numbers begin again or jumped: an encoder that was started anew. */
  | "restarted";

/** Caches lag by a segment or two; lists that are behind by more may be new ones. */
const MAX_CACHE_LAG = 2;
/** So many lists in a row that are behind and go on are no cache, even if their names are known. */
const BEHIND_UNTIL_RESTART = 3;
/** Numbers that jump ahead by more than this are other numbers, not segments that were missed. */
const MAX_MISSED = 10_000;
const MAX_MISSED_MS = 3600 * 1000;

/** The newest state of a media playlist, with its place on the clock that all renditions of a presentation share. */
export class PlaylistWindow {
  #playlist: MediaPlaylist;
  /** Where the playlist's beginning lies on the common clock, ms. */
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

  /** Counts restarts. */
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

  /** undefined: it is not in the list (any more, or yet). */
  bySequence(sequence: number): PlaylistSegment | undefined {
    const first = this.first;
    return first === undefined ? undefined : this.#playlist.segments[sequence - first.sequence];
  }

  /** The first segment that ends after a time; undefined: none does. Binary search. */
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

  /** `ended`: it says only that nothing more will come. `behind`: it may be an old state, or begin again. */
  #compare(next: MediaPlaylist): WindowChange | "behind" | "ended" {
    const ends = next.complete && !this.#playlist.complete;
    const [oldFirst, oldLast, newFirst, newLast] = [this.first, this.last, next.segments[0], next.segments.at(-1)];
    // An empty list is one that passes, unless it says that nothing will come.
    if (newFirst === undefined || newLast === undefined) return ends ? "ended" : "unchanged";
    if (oldFirst === undefined || oldLast === undefined) return "grown";
    if (newFirst.sequence > oldLast.sequence) {
      const missed = newFirst.sequence - oldLast.sequence - 1;
      const missedMs = missed * this.#playlist.targetDurationMs;
      return missed > MAX_MISSED || missedMs > MAX_MISSED_MS ? "restarted" : "grown";
    }
    // Servers that renumber their list when they end it.
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
   * Some servers number every list from 0, or another way after a restart, and go on with the same segments: those are
   * known by their names. Numbers that go on are believed, because names may be used again.
   */
  #renumbered(next: MediaPlaylist): MediaPlaylist {
    const [oldLast, newFirst] = [this.last, next.segments[0]];
    if (oldLast === undefined || newFirst === undefined || newFirst.sequence > oldLast.sequence) return next;
    if ((next.segments.at(-1)?.sequence ?? 0) >= (this.first?.sequence ?? 0) && this.#agreesWith(next)) return next;
    const numbers = new Map(this.#playlist.segments.map((segment) => [segmentName(segment), segment.sequence]));
    if (numbers.size < this.#playlist.segments.length) return next;
    const known = next.segments.find((segment) => numbers.has(segmentName(segment)));
    if (known === undefined) return next;
    const offset = (numbers.get(segmentName(known)) ?? 0) - known.sequence;
    return { ...next, segments: next.segments.map((segment) => shifted(segment, offset)) };
  }

  /** Whether a segment has the same number and name in both lists. */
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
    const names = new Set(this.#playlist.segments.map(segmentName));
    return next.segments.some((segment) => names.has(segmentName(segment)));
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
      // The list shows more of the past than before.
      const common = next.segments[before.sequence - newFirst.sequence];
      return common === undefined ? this.#baseMs : this.#baseMs - common.offsetMs;
    }
    const missedMs = (newFirst.sequence - oldLast.sequence - 1) * this.#playlist.targetDurationMs;
    return this.endMs + missedMs;
  }
}

const OVERLAP_CHECKED = 50;
/** So far apart may the ends of two live lists of one presentation be. */
const MAX_DATES_APART_MS = 120_000;

function shifted(segment: PlaylistSegment, offset: number): PlaylistSegment {
  const { key, sequence } = segment;
  // It is encrypted with the number that its own list gives it.
  const ownKey = key?.method === "AES-128" && key.iv === null ? { ...key, iv: sequenceIv(sequence) } : key;
  return { ...segment, key: ownKey, sequence: sequence + offset };
}

function segmentName({ uri, range }: PlaylistSegment): string {
  return `${fileName(uri)} ${range?.start ?? ""}`;
}

/** The last part of an address, without its query: what stays when tokens in addresses change. */
function fileName(uri: string): string {
  const end = uri.search(/[?#]/);
  const path = end === -1 ? uri : uri.slice(0, end);
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * Where the beginning of a rendition's playlist lies on the clock of another one's window, ms: by their dates, else by
 * their sequence numbers, else (lists that cannot be compared) they end together. Recorded ones begin together. Pure.
 */
export function alignedBaseMs(playlist: MediaPlaylist, other: PlaylistWindow): number {
  const [first, last] = [playlist.segments[0], playlist.segments.at(-1)];
  const [otherFirst, otherLast] = [other.first, other.last];
  if (playlist.complete && other.playlist.complete) return other.baseMs;
  if (first === undefined || last === undefined || otherFirst === undefined || otherLast === undefined)
    return other.baseMs;
  if (first.programDateTimeMs !== null && otherFirst.programDateTimeMs !== null) {
    const baseMs = other.baseMs + first.programDateTimeMs - otherFirst.programDateTimeMs;
    // Dates of clocks that disagree say nothing: both lists reach about to the present.
    if (Math.abs(baseMs + playlist.durationMs - other.endMs) <= MAX_DATES_APART_MS) return baseMs;
  }
  const common = other.bySequence(first.sequence);
  if (common !== undefined) return other.startMsOf(common);
  const ahead = playlist.segments[otherFirst.sequence - first.sequence];
  if (ahead !== undefined) return other.baseMs - ahead.offsetMs;
  return other.endMs - playlist.durationMs;
}
