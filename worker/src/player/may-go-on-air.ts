import type { IncomingSource } from "./incoming-sources.ts";

/** What is on the air when something new is ready. */
export interface AirSituation {
  readonly nowMs: number;
  /** The first picture is shown then and not before; undefined: as soon as it is there. */
  readonly notBeforeMs: number | undefined;
  readonly positionMs: number;
  readonly paused: boolean;
  /** All of what is on the air was sent. */
  readonly drained: boolean;
}

/** Whether what is ready may take the place of what is on the air. Pure. */
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
