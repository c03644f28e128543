import type { ActiveStateName, PlanSummary, SkippedItems, TaskUpdate } from "@roomcast/shared";
import type { Confirmation } from "../link/confirmations.ts";
import type { PlayerEnd, PlayerOptions } from "../player/player-options.ts";
import type { Publisher } from "../publisher/publisher.ts";
import type { SourceInfo } from "../source/source.ts";

/** How a task's stay in the room ended. */
export type RoomOutcome =
  | PlayerEnd
  /** Another task has taken the seat over; the room saw no break. */
  | { readonly name: "replaced"; readonly byTaskId: string };

export interface RoomSnapshot {
  readonly state: ActiveStateName;
  /** Which source of the playlist, from 0. */
  readonly item: number;
  /** Position in that source of what the room was sent last, ms. */
  readonly positionMs: number;
  /** null: live, or not known. */
  readonly durationMs: number | null;
  readonly bitRateKbps: number;
  readonly fps: number;
  readonly droppedFrames: number;
  /** null until the source is open. */
  readonly plan: PlanSummary | null;
  /** Items of a playlist that were passed over; absent: none was. */
  readonly skipped?: SkippedItems;
}

export interface RoomLimits {
  /** A room that takes nothing for this long is lost, ms. */
  readonly roomStallMs: number;
  /** How long a room that is lost is tried to enter again, ms. */
  readonly returnBudgetMs: number;
}

/** What a task needs to play in a room. */
export interface SessionTaskOptions extends Omit<PlayerOptions, "onReady" | "format"> {
  readonly taskId: string;
  readonly createPublisher: () => Publisher;
  /**
   * Resolves when the edge has confirmed that this task holds the seat. Nobody publishes without: a worker that was cut
   * off or frozen may have lost the task to another one, and two workers must never fight over a seat.
   */
  readonly untilConfirmed: (signal: AbortSignal) => Promise<Confirmation>;
  readonly roomLimits: RoomLimits;
}

/** One task's stay in the room. */
export interface SessionTask {
  /** Resolves when nothing of the stay is left; never rejects. */
  readonly done: Promise<RoomOutcome>;
  snapshot(): RoomSnapshot;
  /** The sources that it has opened or is opening, on the air or not; null: it is not known yet what that is. */
  holds(): readonly (SourceInfo | null)[];
  /** Ends the stay with `aborted`: `now` drops what is queued, `tidy` sends it and leaves the room properly. */
  stop(how: "now" | "tidy"): void;
  /**
   * Changes what is played. Resolves when the room sees it.
   *
   * @throws RoomcastError; then all is as it was.
   */
  change(update: TaskUpdate): Promise<void>;
}
