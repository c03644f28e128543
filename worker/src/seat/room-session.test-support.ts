import { type ActiveStateName, RoomcastError, type TaskUpdate } from "@roomcast/shared";
import pino from "pino";
import type { PlayerLimits } from "../player/player-options.ts";
import type { SourceRequest } from "../player/prepared-source.ts";
import type { OutgoingMedia, Publisher } from "../publisher/publisher.ts";
import { ScriptedSource, scriptedTags } from "../source/scripted-source.test-support.ts";
import type { Source } from "../source/source.ts";
import { RoomSession } from "./room-session.ts";
import type { SessionTask, SessionTaskOptions } from "./session-task.ts";

/** A room in memory. The tests of the RTMP publisher and the e2e tests use real rooms. */
export class MemoryRoom implements Publisher {
  onEnded: ((error: RoomcastError) => void) | undefined;
  queuedBytes = 0;
  sentBytes = 0;
  published = false;
  stopped = false;
  readonly media: OutgoingMedia[] = [];
  readonly #start: () => Promise<void>;

  constructor(start: () => Promise<void> = () => Promise.resolve()) {
    this.#start = start;
  }

  async start(mayPublish: () => Promise<void>): Promise<void> {
    await this.#start();
    await mayPublish();
    this.published = true;
  }

  sendMetadata(): void {}

  send(media: OutgoingMedia): void {
    this.media.push(media);
    this.sentBytes += media.payload.length;
  }

  stop(): Promise<void> {
    this.stopped = true;
    return Promise.resolve();
  }

  pictures(): number {
    return this.media.filter(({ kind, payload }) => kind === "video" && payload[1] === 1).length;
  }
}

export function clip(durationMs: number, fromMs = 0): ScriptedSource {
  return new ScriptedSource({ durationMs: fromMs + durationMs }).push(...scriptedTags({ fromMs, durationMs })).finish();
}

interface EnterOptions extends Partial<Omit<SessionTaskOptions, "open" | "limits" | "roomLimits">> {
  readonly openSource: (request: SourceRequest, signal: AbortSignal) => Promise<Source>;
  readonly limits?: Partial<PlayerLimits>;
  readonly roomStallMs?: number;
  readonly returnBudgetMs?: number;
}

/**
 * Makes a room session. `rooms` holds the connections that the session has made, `states` the states that its tasks
 * have reported.
 */
export function newSession() {
  const session = new RoomSession();
  const rooms: MemoryRoom[] = [];
  const states: ActiveStateName[] = [];
  const enter = (options: EnterOptions): SessionTask => {
    const { openSource, limits, roomStallMs = 15_000, returnBudgetMs = 60_000, ...others } = options;
    return session.enter({
      taskId: "task",
      open: openSource,
      createPublisher: () => {
        const room = new MemoryRoom();
        rooms.push(room);
        return room;
      },
      untilConfirmed: async () => ({ holds: () => true }),
      programme: { items: ["a"], plays: 1 },
      startAt: { item: 0, positionMs: 0 },
      volume: 100,
      tempo: 1,
      paused: false,
      preload: [],
      notBeforeMs: undefined,
      live: false,
      onItemError: "skip",
      limits: {
        sourceSilenceMs: 15_000,
        idleTimeoutMs: 60_000,
        longestPauseMs: 12 * 3600 * 1000,
        longestPlayMs: Number.POSITIVE_INFINITY,
        ...limits,
      },
      roomLimits: { roomStallMs, returnBudgetMs },
      log: pino({ level: "silent" }),
      onState: (state) => states.push(state),
      ...others,
    });
  };
  return { session, rooms, states, enter };
}

/** Enters one task into a new session. */
export function prepare(options: EnterOptions) {
  const made = newSession();
  const stay = made.enter(options);
  const played = {
    run: () => stay.done,
    stop: (how: "now" | "tidy") => stay.stop(how),
    snapshot: () => stay.snapshot(),
    change: (update: TaskUpdate) => stay.change(update),
  };
  return { ...made, session: played };
}

export const lost = (code: "RoomLost" | "RoomReplaced" | "SourceLost" | "SourceTruncated" | "SourceUnreachable") =>
  new RoomcastError(`FailedOperation.${code}`, "gone");

/** Opens clips by their URL, `name:durationMs`. `bad` cannot be opened; `slow:…` opens when the test resolves it. */
export function library() {
  const opened: SourceRequest[] = [];
  const sources: ScriptedSource[] = [];
  const slow = new Map<string, PromiseWithResolvers<void>>();
  const openSource = async (request: SourceRequest, signal: AbortSignal): Promise<Source> => {
    opened.push(request);
    if (request.url === "bad") throw new RoomcastError("FailedOperation.SourceNotFound", "There is no such file.");
    if (request.url.startsWith("slow")) {
      const gate = Promise.withResolvers<void>();
      slow.set(request.url, gate);
      signal.addEventListener("abort", () => gate.reject(signal.reason));
      await gate.promise;
    }
    const durationMs = Number(request.url.split(":")[1]);
    const source = clip(durationMs - request.startAtMs, request.startAtMs);
    sources.push(source);
    return source;
  };
  return { opened, sources, slow, openSource };
}

export function steps(room: MemoryRoom | undefined): { largestMs: number; back: number } {
  const timestamps = room?.media.filter(({ kind }) => kind === "video").map(({ timestampMs }) => timestampMs) ?? [];
  const gaps = timestamps.slice(1).map((at, n) => at - (timestamps[n] ?? 0));
  return { largestMs: Math.max(0, ...gaps), back: gaps.filter((gap) => gap < 0).length };
}
