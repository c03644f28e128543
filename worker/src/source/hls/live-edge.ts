import type { MediaPlaylist, PlaylistSegment } from "./media-playlist.ts";
import type { PlaylistWindow } from "./playlist-window.ts";

/** A live player stays this many segments away from the newest (RFC 8216, section 6.3.3). */
const SEGMENTS_FROM_END = 3;
const MIN_RELOAD_MS = 500;
const MAX_RELOAD_MS = 30_000;
/** A playlist of several megabytes is reloaded less often, so that one stream does not take a core for its playlist. */
const RELOADED_BYTES_PER_MS = 2000;
/** An `EXT-X-START` further from the end than this is ignored for live playing. */
const MAX_START_SEGMENTS = 10;
/** A stream that falls behind by this much more than at its beginning jumps to the newest segments. */
const MAX_LAG_MS = 10_000;

/**
 * Returns the real length of a playlist's segments, ms. The declared target duration is a bound and often wrong. Pure.
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

/** Returns the least time from the request of a document of this size to the next one, ms. Pure. */
export function readingPauseMs(bytes: number): number {
  return bytes / RELOADED_BYTES_PER_MS;
}
