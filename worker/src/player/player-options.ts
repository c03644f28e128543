import type { ActiveStateName, RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { OnItemError } from "./failed-items.ts";
import type { Settings } from "./play-settings.ts";
import type { OpenSource, SessionFormat } from "./prepared-source.ts";
import type { Programme } from "./programme.ts";

export interface PlayerLimits {
  /** A source that gives nothing for this long is lost, ms. */
  readonly sourceSilenceMs: number;
  /** How long a source that was on the air, or is next, is waited for, ms. */
  readonly idleTimeoutMs: number;
  /** A longer pause ends the task, ms. */
  readonly longestPauseMs: number;
  /** The task ends after so long on the air, ms; Infinity: never. */
  readonly longestPlayMs: number;
}

export interface PlayerOptions extends Settings {
  readonly open: OpenSource;
  readonly programme: Programme;
  /** Where it begins: an item, and a position in it, ms. */
  readonly startAt: { readonly item: number; readonly positionMs: number };
  /** Begins standing still. */
  readonly paused: boolean;
  readonly preload: readonly string[];
  /** The first picture is shown then and not before, on the clock of `nowMs`; undefined: as soon as it is there. */
  readonly notBeforeMs: number | undefined;
  readonly live: boolean;
  /** What becomes of a playlist when one of its items cannot be played. */
  readonly onItemError: OnItemError;
  readonly limits: PlayerLimits;
  readonly log: Logger;
  readonly onState: (state: ActiveStateName) => void;
  /** What the session sends; undefined: nothing was sent yet. */
  readonly format: () => SessionFormat | undefined;
  /** A source that was sent for is ready, or has failed. */
  readonly onReady: () => void;
}

/** How a programme ended. */
export type PlayerEnd =
  | { readonly name: "finished" }
  | { readonly name: "aborted"; readonly reason: string }
  | { readonly name: "failed"; readonly error: RoomcastError };
