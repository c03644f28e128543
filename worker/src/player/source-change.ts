import { RoomcastError, type TaskUpdate } from "@roomcast/shared";
import type { IncomingSource } from "./incoming-sources.ts";
import type { Programme, ProgrammePlace } from "./programme.ts";

/** The expected time to open the same source with other settings, ms. The current source continues meanwhile. */
const REOPEN_MS = 250;
/**
 * The most by which the room may have passed the source's start position, ms, for the source to be fast-forwarded.
 * Beyond that the source is opened again.
 */
const LONGEST_OVERTAKING_MS = 6000;
/** The factor by which the next opening may take longer than the last one. */
const SLOWER_FACTOR = 1.25;

/** The state of playback when a change is requested. */
export interface PlayingNow {
  readonly place: ProgrammePlace;
  readonly positionMs: number;
  readonly durationMs: number | null;
  readonly live: boolean;
  readonly paused: boolean;
}

/** The source to open and the position to start at. */
export interface SourceChange {
  readonly role: IncomingSource["role"];
  readonly place: ProgrammePlace;
  readonly startAtMs: number;
  /** Replaces the current programme. */
  readonly programme?: Programme;
}

/** Returns the source that a change of source, position or settings needs. Pure. */
export function sourceChange(update: Pick<TaskUpdate, "VideoSrc" | "SeekSecond">, now: PlayingNow): SourceChange {
  const { VideoSrc, SeekSecond } = update;
  const seekMs = (SeekSecond ?? 0) * 1000;
  if (VideoSrc !== undefined) {
    const programme = { items: [VideoSrc], plays: 1 };
    return { role: "switch", place: { item: 0, round: 0 }, startAtMs: seekMs, programme };
  }
  if (SeekSecond !== undefined || now.live) return { role: "switch", place: now.place, startAtMs: seekMs };
  return { role: "continue", place: now.place, startAtMs: now.positionMs + (now.paused ? 0 : REOPEN_MS) };
}

/**
 * Decides whether a source that should continue at the room's position must be opened again at a later position. This
 * is so if it took too long to open, because it would repeat pictures that the room has already seen. Pure.
 *
 * @param opened `startAtMs` is the position that the source was opened at, `roomPositionMs` the room's position when
 *   opening started
 * @returns the position at which to open the source again, ms, or undefined if that is not necessary
 */
export function reopenAtMs(
  opened: { readonly startAtMs: number; readonly roomPositionMs: number },
  positionMs: number,
): number | undefined {
  if (positionMs - opened.startAtMs <= LONGEST_OVERTAKING_MS) return undefined;
  return positionMs + (positionMs - opened.roomPositionMs) * SLOWER_FACTOR + REOPEN_MS;
}

/**
 * Checks that the current source has this position. Pure.
 *
 * @throws RoomcastError `InvalidParameterValue` if it does not.
 */
export function checkSeek(second: number, { live, durationMs }: Pick<PlayingNow, "live" | "durationMs">): void {
  const why = live
    ? "a live source is always played at its newest"
    : durationMs !== null && second * 1000 >= durationMs
      ? `the source is ${(durationMs / 1000).toFixed(1)} s long`
      : undefined;
  if (why !== undefined) throw new RoomcastError("InvalidParameterValue", `SeekSecond cannot be ${second}: ${why}.`);
}
