import type { ActiveStateName, PlanSummary, SkippedItems, TaskUpdate } from "@roomcast/shared";
import type { Confirmation } from "../link/confirmations.ts";
import type { PlayerEnd, PlayerOptions } from "../player/player-options.ts";
import type { Publisher } from "../publisher/publisher.ts";
import type { SourceInfo } from "../source/source.ts";

/** The outcome of a task in its session. */
export type RoomOutcome =
  | PlayerEnd
  /** Another task has taken over the seat without a break in the room. */
  | { readonly name: "replaced"; readonly byTaskId: string };

export interface RoomSnapshot {
  readonly state: ActiveStateName;
  /** Index of the current item of the playlist. */
  readonly item: number;
  /** Position in that item of the media that was sent last, ms. */
  readonly positionMs: number;
  /** Null if the source is live or its duration is unknown. */
  readonly durationMs: number | null;
  readonly bitRateKbps: number;
  readonly fps: number;
  readonly droppedFrames: number;
  /** Null until the source is open. */
  readonly plan: PlanSummary | null;
  /** Items of a playlist that were skipped; absent if none were. */
  readonly skipped?: SkippedItems;
}

export interface RoomLimits {
  /** The time without accepted media after which the connection counts as lost, ms. */
  readonly roomStallMs: number;
  /** The time for which a session tries to connect to a lost room again, ms. */
  readonly returnBudgetMs: number;
}

/** The options of a task that plays in a room. */
export interface SessionTaskOptions extends Omit<PlayerOptions, "onReady" | "format"> {
  readonly taskId: string;
  readonly createPublisher: () => Publisher;
  /**
   * Resolves when the edge has confirmed that this task holds the seat. A worker must not publish without this
   * confirmation. While the worker was cut off or frozen, the task may have been given to another worker, and two
   * workers must never fight over a seat.
   */
  readonly untilConfirmed: (signal: AbortSignal) => Promise<Confirmation>;
  readonly roomLimits: RoomLimits;
}

/** One task in a room session, from its entry to its end. */
export interface SessionTask {
  /** Resolves when everything of the task has been closed. Never rejects. */
  readonly done: Promise<RoomOutcome>;
  snapshot(): RoomSnapshot;
  /**
   * The sources that are open or being opened, whether on the air or not, with null for each source that is still being
   * opened.
   */
  holds(): readonly (SourceInfo | null)[];
  /** Ends the task with `aborted`. `now` drops queued media; `tidy` sends it and leaves the room properly. */
  stop(how: "now" | "tidy"): void;
  /**
   * Changes what is played. Resolves when the room sees the change.
   *
   * @throws RoomcastError if the change failed. Playback then continues unchanged.
   */
  change(update: TaskUpdate): Promise<void>;
}
