import type { ActiveStateName, RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { OnItemError } from "./failed-items.ts";
import type { Settings } from "./play-settings.ts";
import type { OpenSource, SessionFormat } from "./prepared-source.ts";
import type { Programme } from "./programme.ts";

export interface PlayerLimits {
  /** A source that delivers nothing for this long is lost, ms. */
  readonly sourceSilenceMs: number;
  /** How long the player waits for a source that was on the air, or that is next, ms. */
  readonly idleTimeoutMs: number;
  /** A longer pause ends the task, ms. */
  readonly longestPauseMs: number;
  /** The task ends after this time on the air, ms. Infinity for no limit. */
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
  /** When to show the first picture, on the clock of `nowMs`. Undefined shows it as soon as it is ready. */
  readonly notBeforeMs: number | undefined;
  readonly live: boolean;
  /** What happens when an item of the playlist cannot be played. */
  readonly onItemError: OnItemError;
  readonly limits: PlayerLimits;
  readonly log: Logger;
  readonly onState: (state: ActiveStateName) => void;
  /** Returns the session's format, or undefined if nothing was sent yet. */
  readonly format: () => SessionFormat | undefined;
  /** Called when a source is ready or has failed. */
  readonly onReady: () => void;
}

/** How a programme ended. */
export type PlayerEnd =
  | { readonly name: "finished" }
  | { readonly name: "aborted"; readonly reason: string }
  | { readonly name: "failed"; readonly error: RoomcastError };
