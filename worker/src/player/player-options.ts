import type { ActiveStateName, RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { OnItemError } from "./failed-items.ts";
import type { Settings } from "./play-settings.ts";
import type { OpenSource, SessionFormat } from "./prepared-source.ts";
import type { Programme } from "./programme.ts";

export interface PlayerLimits {
  /** The time without media after which a source counts as lost, ms. */
  readonly sourceSilenceMs: number;
  /** The longest time that the player waits for a source that was on the air, or that is next, ms. */
  readonly idleTimeoutMs: number;
  /** The longest pause, ms. A longer pause ends the task. */
  readonly longestPauseMs: number;
  /** The time on the air after which the task ends, ms; Infinity for no limit. */
  readonly longestPlayMs: number;
}

export interface PlayerOptions extends Settings {
  readonly open: OpenSource;
  readonly programme: Programme;
  /** The item to start with, and the position in it, ms. */
  readonly startAt: { readonly item: number; readonly positionMs: number };
  /** True if playback starts paused. */
  readonly paused: boolean;
  readonly preload: readonly string[];
  /**
   * The time at which to show the first picture, on the clock of `nowMs`. If undefined, the picture is shown as soon as
   * it is ready.
   */
  readonly notBeforeMs: number | undefined;
  readonly live: boolean;
  /** The reaction to an item of the playlist that cannot be played. */
  readonly onItemError: OnItemError;
  readonly limits: PlayerLimits;
  readonly log: Logger;
  readonly onState: (state: ActiveStateName) => void;
  /** Returns the session's format, or undefined if nothing was sent yet. */
  readonly format: () => SessionFormat | undefined;
  /** Called when a source is ready or has failed. */
  readonly onReady: () => void;
}

/** The end of a programme. */
export type PlayerEnd =
  | { readonly name: "finished" }
  | { readonly name: "aborted"; readonly reason: string }
  | { readonly name: "failed"; readonly error: RoomcastError };
