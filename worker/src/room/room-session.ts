import { setTimeout as sleep } from "node:timers/promises";
import { type ActiveStateName, type PlanSummary, RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import { Backoff } from "../backoff.ts";
import type { Publisher } from "../publisher/publisher.ts";
import type { Source } from "../source/source.ts";
import { processTicker, type Ticker } from "../timeline/ticker.ts";
import { Timeline, type TimelineSink } from "../timeline/timeline.ts";
import { RateMeter } from "./rate-meter.ts";
import { mayReconnect } from "./reconnect-policy.ts";
import { Watchdog, type WatchdogLimits } from "./watchdog.ts";

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
  readonly limits?: Partial<RoomLimits>;
  readonly ticker?: Ticker;
}

export interface RoomLimits extends WatchdogLimits {
  /** How long a session that was on the air waits for its room or its live source to come back, ms. */
  readonly reconnectBudgetMs: number;
}

const DEFAULT_LIMITS: RoomLimits = { sourceSilenceMs: 15_000, roomStallMs: 15_000, reconnectBudgetMs: 60_000 };

/** More than this not yet taken by the network: the source is held back, bytes. */
const HOLD_BYTES = 1024 * 1024;
/** Held back for longer than this, a live source is dropped up to its next keyframe, ms. */
const LIVE_HOLD_MS = 1_000;
/** A tidy end waits at most this long for the network to take the rest, ms. */
const FLUSH_MS = 3_000;

/** One seat's publisher, clock and source, from the first connect to the last message. */
export class RoomSession {
  readonly #options: RoomSessionOptions;
  readonly #limits: RoomLimits;
  readonly #ticker: Ticker;
  readonly #timeline = new Timeline();
  readonly #rates = new RateMeter(performance.now());
  readonly #stopping = new AbortController();
  #state: ActiveStateName = "starting";
  #publisher: Publisher | undefined;
  #source: Source | undefined;
  #positionMs: number;
  #onAirSinceMs: number | undefined;

  constructor(options: RoomSessionOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#ticker = options.ticker ?? processTicker;
    this.#positionMs = options.startAtMs;
  }

  /** Runs the session to its end; never rejects. Everything that it owned has ended when this resolves. */
  async run(): Promise<RoomOutcome> {
    const backoff = new Backoff({
      initialMs: 500,
      maxMs: 5_000,
      budgetMs: this.#limits.reconnectBudgetMs,
      healthyAfterMs: 10_000,
    });
    for (;;) {
      const outcome = await this.#runOnce();
      if (outcome.name !== "failed") return outcome;
      const nowMs = performance.now();
      const wasOnAir = this.#state !== "starting";
      const onAirForMs = this.#onAirSinceMs === undefined ? 0 : nowMs - this.#onAirSinceMs;
      this.#onAirSinceMs = undefined;
      const delayMs = mayReconnect(outcome.error, { live: this.#options.live, wasOnAir })
        ? backoff.failed(nowMs, onAirForMs)
        : undefined;
      if (delayMs === undefined) {
        await this.#leaveRoom();
        return outcome;
      }
      this.#options.log.warn({ err: outcome.error, delayMs: Math.round(delayMs) }, "Lost; trying again");
      this.#setState("reconnecting");
      // Rejects only when the session is stopped meanwhile, which is looked at next.
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      if (this.#stopping.signal.aborted) {
        await this.#leaveRoom();
        return { name: "aborted" };
      }
    }
  }

  snapshot(): RoomSnapshot {
    const info = this.#source?.info;
    return {
      state: this.#state,
      positionMs: Math.max(0, Math.round(this.#positionMs)),
      durationMs: info?.durationMs ?? null,
      bitRateKbps: this.#rates.bitRateKbps,
      fps: this.#rates.fps,
      droppedFrames: this.#timeline.droppedFrames,
      plan: info?.plan ?? null,
    };
  }

  /** Ends the session with `aborted`: `now` drops what is queued, `tidy` sends it and leaves the room properly. */
  stop(how: "now" | "tidy"): void {
    if (!this.#stopping.signal.aborted) this.#stopping.abort(how);
  }

  /** Connects what is not connected, plays until something ends, keeps the publisher only if it is still good. */
  async #runOnce(): Promise<RoomOutcome> {
    let outcome: RoomOutcome;
    try {
      const { source, publisher } = await this.#connect();
      outcome = await this.#play(source, publisher);
    } catch (thrown) {
      outcome = { name: "failed", error: RoomcastError.from(thrown) };
    }
    if (this.#stopping.signal.aborted) outcome = { name: "aborted" };
    this.#timeline.clear();
    await this.#source?.close();
    const { reason } = this.#stopping.signal;
    if (outcome.name === "finished" || reason === "tidy") await this.#flush();
    if (outcome.name !== "failed" || outcome.error.code.startsWith("FailedOperation.Room")) await this.#leaveRoom();
    return outcome;
  }

  /** The room and the source are dialled at the same time; when one fails, the other is not waited for. */
  async #connect(): Promise<{ source: Source; publisher: Publisher }> {
    const attempt = new AbortController();
    const signal = AbortSignal.any([attempt.signal, this.#stopping.signal]);
    const opening = this.#options.openSource(this.#options.live ? 0 : this.#positionMs, signal);
    const publishing = this.#enterRoom(signal);
    try {
      const [source, publisher] = await Promise.all([opening, publishing]);
      signal.throwIfAborted();
      this.#source = source;
      return { source, publisher };
    } catch (thrown) {
      attempt.abort();
      const [opened] = await Promise.allSettled([opening, publishing]);
      if (opened.status === "fulfilled") await opened.value.close();
      throw thrown;
    }
  }

  async #enterRoom(signal: AbortSignal): Promise<Publisher> {
    if (this.#publisher !== undefined) return this.#publisher;
    const publisher = this.#options.createPublisher();
    const leave = () => void publisher.stop();
    signal.addEventListener("abort", leave, { once: true });
    try {
      signal.throwIfAborted();
      await publisher.start();
    } finally {
      signal.removeEventListener("abort", leave);
    }
    this.#publisher = publisher;
    return publisher;
  }

  async #leaveRoom(): Promise<void> {
    const publisher = this.#publisher;
    this.#publisher = undefined;
    await publisher?.stop();
  }

  /** Moves the timeline on every tick until the source, the room or the caller ends it. */
  #play(source: Source, publisher: Publisher): Promise<RoomOutcome> {
    const { promise, resolve } = Promise.withResolvers<RoomOutcome>();
    const fail = (error: RoomcastError) => resolve({ name: "failed", error });
    const abort = () => resolve({ name: "aborted" });
    publisher.onEnded = fail;
    publisher.sendMetadata({
      width: source.info.width,
      height: source.info.height,
      fps: source.info.fps,
      audioSampleRateHz: null,
      audioChannels: null,
    });
    this.#stopping.signal.addEventListener("abort", abort, { once: true });
    const sink: TimelineSink = {
      send: (media, tag) => {
        publisher.send(media);
        const isPicture = tag.kind === "video" && !tag.sequenceHeader;
        this.#rates.add(media.payload.length, isPicture ? 1 : 0);
        if (isPicture) this.#onPicture();
      },
    };
    this.#timeline.cutTo(source, performance.now(), sink);
    const watch = new Watchdog(performance.now(), this.#limits);
    const tick = (nowMs: number) => {
      this.#rates.roll(nowMs);
      const held = publisher.queuedBytes > HOLD_BYTES;
      const problem = watch.look(nowMs, { held, starved: source.peek() === undefined, sentBytes: publisher.sentBytes });
      if (problem !== undefined) return fail(problem);
      if (held) {
        if (source.info.live && watch.heldForMs(nowMs) > LIVE_HOLD_MS) this.#timeline.dropWaiting();
        return undefined;
      }
      this.#timeline.advance(nowMs, sink);
      this.#positionMs = this.#timeline.positionMs;
      if (this.#timeline.drained) this.#onDrained(source, resolve);
      return undefined;
    };
    const removeTick = this.#ticker.add(tick);
    tick(performance.now());
    return promise.finally(() => {
      removeTick();
      publisher.onEnded = undefined;
      this.#stopping.signal.removeEventListener("abort", abort);
    });
  }

  #onPicture(): void {
    if (this.#onAirSinceMs !== undefined) return;
    this.#onAirSinceMs = performance.now();
    this.#setState("pushing");
  }

  #onDrained(source: Source, resolve: (outcome: RoomOutcome) => void): void {
    const end = source.end;
    if (end?.name === "finished") {
      this.#positionMs = source.info.durationMs ?? this.#positionMs;
      resolve({ name: "finished" });
    } else if (end?.name === "failed") {
      resolve({ name: "failed", error: end.error });
    }
  }

  async #flush(): Promise<void> {
    const publisher = this.#publisher;
    if (publisher === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const deadlineMs = performance.now() + FLUSH_MS;
    publisher.onEnded = () => resolve();
    const removeTick = this.#ticker.add((nowMs) => {
      if (publisher.queuedBytes === 0 || nowMs > deadlineMs) resolve();
    });
    await promise;
    removeTick();
    publisher.onEnded = undefined;
  }

  #setState(state: ActiveStateName): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }
}
