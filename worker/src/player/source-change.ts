import { RoomcastError, type TaskUpdate } from "@roomcast/shared";
import type { IncomingSource } from "./incoming-sources.ts";
import type { Programme, ProgrammePlace } from "./programme.ts";

/** Opening the same source with other settings is expected to take so long; the old one plays on meanwhile, ms. */
const REOPEN_MS = 250;
/** A source that the room has passed by no more than this is played: what the room has seen is rolled up, ms. */
const LONGEST_OVERTAKING_MS = 6000;
/** The next opening may take longer than the last one by this factor. */
const SLOWER_FACTOR = 1.25;

/** Where a player is when it is asked to change. */
export interface PlayingNow {
  readonly place: ProgrammePlace;
  readonly positionMs: number;
  readonly durationMs: number | null;
  readonly live: boolean;
  readonly paused: boolean;
}

/** Which source is to be brought, and from where on. */
export interface SourceChange {
  readonly role: IncomingSource["role"];
  readonly place: ProgrammePlace;
  readonly startAtMs: number;
  /** Instead of the current one. */
  readonly programme?: Programme;
}

/** What a change of source, position or settings needs to be brought. Pure. */
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
 * Decides whether a source that is to go on where the room is took so long to open that it must be opened again further
 * on, because it would show again what the room has seen meanwhile. Pure.
 *
 * @param opened `startAtMs`: where it was opened; `sentForMs`: the position of the room when that was begun
 * @returns the position at which to open it again, ms; undefined: it can be played
 */
export function reopenAtMs(
  opened: { readonly startAtMs: number; readonly sentForMs: number },
  positionMs: number,
): number | undefined {
  if (positionMs - opened.startAtMs <= LONGEST_OVERTAKING_MS) return undefined;
  return positionMs + (positionMs - opened.sentForMs) * SLOWER_FACTOR + REOPEN_MS;
}

/**
 * Pure.
 *
 * @throws RoomcastError `InvalidParameterValue` where there is no such position in what is playing.
 */
export function checkSeek(second: number, { live, durationMs }: Pick<PlayingNow, "live" | "durationMs">): void {
  const why = live
    ? "a live source is always played at its newest"
    : durationMs !== null && second * 1000 >= durationMs
      ? `the source is ${(durationMs / 1000).toFixed(1)} s long`
      : undefined;
  if (why !== undefined) throw new RoomcastError("InvalidParameterValue", `SeekSecond cannot be ${second}: ${why}.`);
}
