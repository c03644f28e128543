import type { MediaPlaylist, PlaylistSegment } from "./media-playlist.ts";
import type { PlaylistWindow } from "./playlist-window.ts";

/** The distance at which a live player stays from the end of the playlist, in segments (RFC 8216, section 6.3.3). */
const SEGMENTS_FROM_END = 3;
const MIN_RELOAD_MS = 500;
const MAX_RELOAD_MS = 30_000;
/**
 * The most bytes of a playlist that one stream reads per millisecond on average. A playlist of several megabytes is
 * therefore reloaded less often, so that it does not occupy a core.
 */
const RELOADED_BYTES_PER_MS = 2000;
/** The largest distance of `EXT-X-START` from the end, in segments. A larger one is ignored for live playing. */
const MAX_START_SEGMENTS = 10;
/**
 * How much further from the end than its starting distance a live stream may fall, ms. A stream
 * that falls further behind jumps to the newest segments.
 */
const MAX_LAG_MS = 10_000;

/**
 * Returns the longest duration among the last ten segments of a playlist, ms. The declared target duration is only an
 * upper bound, and often wrong. Pure.
 */
export function segmentLengthMs(playlist: MediaPlaylist): number {
  let longestMs = 0;
  for (const { durationMs } of playlist.segments.slice(-10)) longestMs = Math.max(longestMs, durationMs);
  return longestMs === 0 ? playlist.targetDurationMs : longestMs;
}

/** Returns the distance from the end of a live playlist at which playing begins, ms. Pure. */
function startDistanceMs(playlist: MediaPlaylist): number {
  const lengthMs = segmentLengthMs(playlist);
  const { startMs, holdBackMs } = playlist;
  if (startMs !== null && startMs < 0 && -startMs <= MAX_START_SEGMENTS * lengthMs) return Math.max(-startMs, lengthMs);
  return Math.max(holdBackMs ?? 0, SEGMENTS_FROM_END * lengthMs);
}

/** Returns the distance from the end beyond which a live stream jumps to the newest segments, ms. Pure. */
export function maxDistanceMs(playlist: MediaPlaylist): number {
  return startDistanceMs(playlist) + Math.max(MAX_LAG_MS, SEGMENTS_FROM_END * segmentLengthMs(playlist));
}

/** Returns the segment at which live playing begins, or undefined if the playlist is empty. Pure. */
export function liveStart(window: PlaylistWindow): PlaylistSegment | undefined {
  const { playlist } = window;
  const wantedMs = window.endMs - startDistanceMs(playlist);
  // 1 ms is added because durations are rounded: a segment that ends at the wanted time must not be chosen.
  const found = window.at(Math.max(wantedMs, window.baseMs) + 1);
  return found ?? window.last;
}

/** Returns the time from the start of one playlist request to the next one, ms (RFC 8216, section 6.3.4). Pure. */
export function reloadDelayMs(playlist: MediaPlaylist, changed: boolean): number {
  const usual = playlist.segments.length === 0 ? playlist.targetDurationMs : segmentLengthMs(playlist);
  const bounded = Math.min(Math.max(Math.min(usual, playlist.targetDurationMs), MIN_RELOAD_MS), MAX_RELOAD_MS);
  return changed ? bounded : Math.max(bounded / 2, MIN_RELOAD_MS);
}

/** Returns the least time between two requests of a playlist, ms, if the first one's response has this size. Pure. */
export function readingPauseMs(bytes: number): number {
  return bytes / RELOADED_BYTES_PER_MS;
}
