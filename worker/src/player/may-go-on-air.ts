import type { IncomingSource } from "./incoming-sources.ts";

/** The state of the current source when a new one is ready. */
export interface AirSituation {
  readonly nowMs: number;
  /** The earliest time to show the first picture. If undefined, the picture is shown as soon as it is ready. */
  readonly notBeforeMs: number | undefined;
  readonly positionMs: number;
  readonly paused: boolean;
  /** True if all of the current source was sent. */
  readonly drained: boolean;
}

/** Returns true if a source that is ready may replace the one on the air now. Pure. */
export function mayGoOnAir(role: IncomingSource["role"], startAtMs: number, now: AirSituation): boolean {
  switch (role) {
    case "start":
      return now.nowMs >= (now.notBeforeMs ?? now.nowMs);
    case "next":
      return now.drained;
    case "continue":
      return now.paused || now.drained || now.positionMs >= startAtMs;
    default:
      return true;
  }
}
