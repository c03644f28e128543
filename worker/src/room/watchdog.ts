import { RoomcastError } from "@roomcast/shared";

export interface WatchdogLimits {
  /** A source that gives nothing for this long is lost, ms. */
  readonly sourceSilenceMs: number;
  /** A room that takes nothing for this long is lost, ms. */
  readonly roomStallMs: number;
}

export interface Observation {
  /** More is waiting for the network than may wait. */
  readonly held: boolean;
  /** The source has nothing to give. */
  readonly starved: boolean;
  /** Bytes that the network has taken since the start. */
  readonly sentBytes: number;
}

/** Finds the silences that no socket reports: a source that hangs, a room that stops reading. Pure. */
export class Watchdog {
  readonly #limits: WatchdogLimits;
  #fedMs: number;
  #freeMs: number;
  #takenMs: number;
  #sentBytes = 0;

  constructor(nowMs: number, limits: WatchdogLimits) {
    this.#limits = limits;
    this.#fedMs = nowMs;
    this.#freeMs = nowMs;
    this.#takenMs = nowMs;
  }

  /** @returns what is wrong, if anything is */
  look(nowMs: number, seen: Observation): RoomcastError | undefined {
    if (!seen.starved) this.#fedMs = nowMs;
    if (!seen.held) this.#freeMs = nowMs;
    if (!seen.held || seen.sentBytes !== this.#sentBytes) this.#takenMs = nowMs;
    this.#sentBytes = seen.sentBytes;
    if (nowMs - this.#takenMs > this.#limits.roomStallMs) {
      return new RoomcastError(
        "FailedOperation.RoomLost",
        `The room took no media for ${seconds(this.#limits.roomStallMs)}; the connection was given up.`,
      );
    }
    if (nowMs - this.#fedMs > this.#limits.sourceSilenceMs) {
      return new RoomcastError(
        "FailedOperation.SourceTimeout",
        `The source gave no media for ${seconds(this.#limits.sourceSilenceMs)}.`,
      );
    }
    return undefined;
  }

  /** For how long the source has been held back, ms. */
  heldForMs(nowMs: number): number {
    return nowMs - this.#freeMs;
  }
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
