import type { ActiveStateName, PlanSummary, RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import type { Publisher } from "../publisher/publisher.ts";
import type { Source } from "../source/source.ts";

/** How a session ended. */
export type RoomOutcome =
  | { readonly name: "finished" }
  | { readonly name: "aborted" }
  | { readonly name: "failed"; readonly error: RoomcastError };

export interface RoomSnapshot {
  readonly state: ActiveStateName;
  /** Position in the source of what the room was sent last, ms. */
  readonly positionMs: number;
  /** null: live, or not known. */
  readonly durationMs: number | null;
  readonly bitRateKbps: number;
  readonly fps: number;
  readonly droppedFrames: number;
  /** null until the source is open. */
  readonly plan: PlanSummary | null;
}

export interface RoomSessionOptions {
  /** Opens the source at a position, ms; rejects with a RoomcastError, or when the signal aborts. */
  readonly openSource: (startAtMs: number, signal: AbortSignal) => Promise<Source>;
  readonly createPublisher: () => Publisher;
  readonly startAtMs: number;
  readonly live: boolean;
  readonly log: Logger;
  /** Told of every change of `snapshot().state` after `starting`. */
  readonly onState: (state: ActiveStateName) => void;
}

/** One seat's publisher, clock and source, from the first connect to the last message. */
export class RoomSession {
  constructor(_options: RoomSessionOptions) {
    throw new Error("being written");
  }

  /** Runs the session to its end; never rejects. Everything that it owned has ended when this resolves. */
  run(): Promise<RoomOutcome> {
    throw new Error("being written");
  }

  snapshot(): RoomSnapshot {
    throw new Error("being written");
  }

  /** Ends the session with `aborted`: `now` drops what is queued, `tidy` sends it and leaves the room properly. */
  stop(_how: "now" | "tidy"): void {
    throw new Error("being written");
  }
}
