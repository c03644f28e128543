import { type PushRequest, sourcesOf } from "@roomcast/shared";
import { type Settings, settingsOf } from "../player/play-settings.ts";
import type { PlayerLimits } from "../player/player-options.ts";
import type { SessionTaskOptions } from "../seat/session-task.ts";

/** Defaults for fields that a request omits. */
export interface SessionTaskDefaults {
  /** The time to wait for a lost source or room, ms. */
  readonly reconnectBudgetMs: number;
  /** The time without media after which a source counts as lost, ms. */
  readonly sourceSilenceMs: number;
}

const ROOM_STALL_MS = 15_000;
const LONGEST_PAUSE_MS = 12 * 3600 * 1000;

type FromRequest = Pick<
  SessionTaskOptions,
  "programme" | "preload" | "notBeforeMs" | "live" | "onItemError" | "limits" | "roomLimits"
> &
  Settings;

/**
 * Returns the playback options of a request. Pure.
 *
 * @param clock the time on two clocks at the same moment, ms: Unix time, in which `StartAt` is given, and the
 *   player's clock
 */
export function sessionTaskOptions(
  request: PushRequest,
  defaults: SessionTaskDefaults,
  clock: { readonly unixMs: number; readonly playerMs: number },
): FromRequest {
  const { RepeatNum = 1, MaxDuration, IdleTimeout, StartAt } = request;
  const idleTimeoutMs = IdleTimeout === undefined ? defaults.reconnectBudgetMs : IdleTimeout * 1000;
  const limits: PlayerLimits = {
    sourceSilenceMs: defaults.sourceSilenceMs,
    idleTimeoutMs,
    longestPauseMs: LONGEST_PAUSE_MS,
    longestPlayMs: MaxDuration === undefined ? Number.POSITIVE_INFINITY : MaxDuration * 60_000,
  };
  return {
    programme: { items: sourcesOf(request), plays: RepeatNum === -1 ? Number.POSITIVE_INFINITY : RepeatNum },
    ...settingsOf(request),
    preload: request.Preload ?? [],
    notBeforeMs: StartAt === undefined ? undefined : Date.parse(StartAt) - clock.unixMs + clock.playerMs,
    live: request.Mode === "live",
    onItemError: request.OnItemError ?? "skip",
    limits,
    roomLimits: { roomStallMs: ROOM_STALL_MS, returnBudgetMs: idleTimeoutMs },
  };
}
