import type { MediaPlaylist, PlaylistSegment } from "./media-playlist.ts";
import type { PlaylistWindow } from "./playlist-window.ts";

/** A live player stays this many segments away from the newest (RFC 8216, section 6.3.3). */
const SEGMENTS_FROM_END = 3;
const MIN_RELOAD_MS = 500;
const MAX_RELOAD_MS = 30_000;
/** A wish for a beginning that is further from the end is no wish for a live picture. */
const MAX_START_SEGMENTS = 10;
/** A stream that is behind by this much more than at its beginning is brought back to the newest. */
const MAX_LAG_MS = 10_000;

/** How long the segments of a list really are, ms: declared lengths are bounds, and wrong ones are common. Pure. */
export function segmentLengthMs(playlist: MediaPlaylist): number {
  let longestMs = 0;
  for (const { durationMs } of playlist.segments.slice(-10)) longestMs = Math.max(longestMs, durationMs);
  return longestMs === 0 ? playlist.targetDurationMs : longestMs;
}

/** How far from the end of a live list playing begins, ms. Pure. */
function startDistanceMs(playlist: MediaPlaylist): number {
  const lengthMs = segmentLengthMs(playlist);
  const { startMs, holdBackMs } = playlist;
  if (startMs !== null && startMs < 0 && -startMs <= MAX_START_SEGMENTS * lengthMs) return Math.max(-startMs, lengthMs);
  return Math.max(holdBackMs ?? 0, SEGMENTS_FROM_END * lengthMs);
}

/** How far from the end a live stream may fall before it is brought back, ms. Pure. */
export function maxDistanceMs(playlist: MediaPlaylist): number {
  return startDistanceMs(playlist) + Math.max(MAX_LAG_MS, SEGMENTS_FROM_END * segmentLengthMs(playlist));
}

/** The segment at which live playing begins; undefined: the list is empty. Pure. */
export function liveStart(window: PlaylistWindow): PlaylistSegment | undefined {
  const { playlist } = window;
  const wantedMs = window.endMs - startDistanceMs(playlist);
  // A segment that begins a little before is the one that is meant: durations are rounded.
  const found = window.at(Math.max(wantedMs, window.baseMs) + 1);
  return found ?? window.last;
}

/** From the beginning of one request for the list to the next one, ms (RFC 8216, section 6.3.4). Pure. */
export function reloadDelayMs(playlist: MediaPlaylist, changed: boolean): number {
  const usual = playlist.segments.length === 0 ? playlist.targetDurationMs : segmentLengthMs(playlist);
  const bounded = Math.min(Math.max(Math.min(usual, playlist.targetDurationMs), MIN_RELOAD_MS), MAX_RELOAD_MS);
  return changed ? bounded : Math.max(bounded / 2, MIN_RELOAD_MS);
}
