import { type ActiveStateName, type PlanSummary, RoomcastError, type TaskUpdate } from "@roomcast/shared";
import type { Logger } from "pino";
import { Backoff } from "../backoff.ts";
import type { Source, SourceInfo } from "../source/source.ts";
import type { Timeline, TimelineSink } from "../timeline/timeline.ts";
import { Preloads } from "./preloads.ts";
import { type OpenSource, PreparedSource, type SessionFormat, type SourceRequest } from "./prepared-source.ts";
import { type Programme, type ProgrammePlace, placeAfter } from "./programme.ts";
import { mayReturn } from "./reconnect-policy.ts";
import { SilenceWatch } from "./silence-watch.ts";

export interface PlayerLimits {
  /** A source that gives nothing for this long is lost, ms. */
  readonly sourceSilenceMs: number;
  /** How long a live source that was on the air is waited for, ms. */
  readonly idleTimeoutMs: number;
  /** A longer pause ends the task, ms. */
  readonly longestPauseMs: number;
  /** The task ends after so long on the air, ms; Infinity: never. */
  readonly longestPlayMs: number;
}

export interface PlayerOptions {
  readonly open: OpenSource;
  readonly programme: Programme;
  /** Where it begins: an item, and a position in it, ms. */
  readonly startAt: { readonly item: number; readonly positionMs: number };
  readonly volume: number;
  readonly tempo: number;
  /** Begins standing still. */
  readonly paused: boolean;
  readonly preload: readonly string[];
  /** The first picture is shown then and not before, on the clock of `nowMs`; undefined: as soon as it is there. */
  readonly notBeforeMs: number | undefined;
  readonly live: boolean;
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

/** Where the player puts its media. */
export interface Stage {
  readonly timeline: Timeline;
  readonly sink: TimelineSink;
}

/** A source on its way to the air. Only one at a time: the newest wish wins. */
interface Incoming {
  readonly prepared: PreparedSource;
  /** `next` waits until the one before has played out; `continue` until the position is reached; the others do not. */
  readonly role: "start" | "next" | "return" | "switch" | "continue";
  readonly place: ProgrammePlace;
  /** What holds once it is on the air. */
  readonly programme: Programme;
  /** Who asked for it. */
  readonly asked: PromiseWithResolvers<void> | undefined;
}

/** The next item is opened when so much of the current one is left, ms. */
const PREPARE_AHEAD_MS = 4_000;
/** How long opening the same source with other settings is expected to take, ms; the old one plays on meanwhile. */
const REOPEN_MS = 250;
/** A live source that played for so long was well, ms. */
const HEALTHY_AFTER_MS = 10_000;
/** A recorded source that stands still for longer is closed, and opened again when it goes on, ms. */
const LONGEST_HELD_PAUSE_MS = 60_000;

/** Plays a programme onto a timeline: one source on the air, at most one more on its way, and what is preloaded. */
export class Player {
  readonly #options: PlayerOptions;
  readonly #preloads: Preloads;
  #preloaded: readonly string[];
  readonly #closing = new Set<Promise<void>>();
  #programme: Programme;
  #place: ProgrammePlace;
  #volume: number;
  #tempo: number;
  #positionMs: number;
  #current: Source | undefined;
  /** Of what is, or was last, on the air. */
  #info: SourceInfo | undefined;
  #incoming: Incoming | undefined;
  #state: ActiveStateName = "starting";
  #paused: boolean;
  #pausedSinceMs = 0;
  #onAirSinceMs: number | undefined;
  #silence: SilenceWatch | undefined;
  /** Set while a live source is away. */
  #away: { readonly first: PlayerEnd; tryAtMs: number } | undefined;
  /** Over all the times that a live source went away shortly after it had come back. */
  readonly #backoff: Backoff;
  /** When the current source came on the air, and when it last gave a picture. */
  #cutAtMs = 0;
  #movedAtMs = 0;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#programme = options.programme;
    this.#place = { item: options.startAt.item, round: 0 };
    this.#positionMs = options.startAt.positionMs;
    this.#volume = options.volume;
    this.#tempo = options.tempo;
    this.#paused = options.paused;
    this.#backoff = new Backoff({
      initialMs: 500,
      maxMs: 5_000,
      budgetMs: options.limits.idleTimeoutMs,
      healthyAfterMs: HEALTHY_AFTER_MS,
    });
    this.#preloads = new Preloads({ open: options.open, log: options.log });
    this.#preloaded = options.preload;
  }

  get state(): ActiveStateName {
    return this.#state;
  }

  get item(): number {
    return this.#place.item;
  }

  /** Position in the current item of what the room was sent last, ms. */
  get positionMs(): number {
    return this.#positionMs;
  }

  get durationMs(): number | null {
    return this.#info?.durationMs ?? null;
  }

  get plan(): PlanSummary | null {
    return this.#info?.plan ?? null;
  }

  /** Of what is on the air, or is ready to be; undefined: nothing was yet. */
  get info(): SourceInfo | undefined {
    const state = this.#incoming?.prepared.state;
    return this.#info ?? (state?.name === "ready" ? state.source.info : undefined);
  }

  get live(): boolean {
    return this.#info?.live ?? this.#options.live;
  }

  /** Whether the first source is there, or why not; undefined: not known yet. */
  get prepared(): { readonly error: RoomcastError | null } | undefined {
    if (this.#current !== undefined) return { error: null };
    const state = this.#incoming?.prepared.state;
    if (state?.name === "ready") return { error: null };
    return state?.name === "failed" ? { error: state.error } : undefined;
  }

  /** Opens what is to be played first, or after `suspend` what was on the air. */
  prepare(): void {
    if (this.#current !== undefined || this.#incoming !== undefined) return;
    this.#bring({ role: "start", place: this.#place, startAtMs: this.live ? 0 : this.#positionMs });
  }

  /** Moves everything on by one tick; returns the end when it is reached. */
  tick(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const failure = this.#attendIncoming(nowMs, stage);
    if (failure !== undefined) return failure;
    stage.timeline.advance(nowMs, stage.sink);
    // What comes next need not wait for the next tick when the last picture has just been sent.
    if (this.#incoming?.role === "next" && stage.timeline.drained) this.#attendIncoming(nowMs, stage);
    if (this.#current !== undefined && this.#positionMs !== stage.timeline.positionMs) {
      this.#positionMs = stage.timeline.positionMs;
      this.#movedAtMs = nowMs;
    }
    if (this.#onAirSinceMs !== undefined && nowMs - this.#onAirSinceMs > this.#options.limits.longestPlayMs) {
      return { name: "finished" };
    }
    if (this.#paused) return this.#attendPause(nowMs, stage);
    if (this.#away !== undefined) return this.#attendAway(nowMs);
    return this.#attendCurrent(nowMs, stage);
  }

  /** The room cannot take the live source any more: what waits is dropped up to its next keyframe. */
  dropWaiting(stage: Stage): void {
    if (this.live) stage.timeline.dropWaiting();
  }

  /**
   * Changes what is played. Resolves when it is on the air; rejects with what went wrong, and then all is as it was.
   *
   * @throws RoomcastError of the source; `FailedOperation.Superseded` when a newer change came.
   */
  async change(update: TaskUpdate, nowMs: number, stage: Stage): Promise<void> {
    if (update.VideoSrc === undefined && update.SeekSecond !== undefined) this.#checkSeek(update.SeekSecond);
    if (update.Preload !== undefined) this.#preload(update.Preload);
    const { VideoSrc, SeekSecond, Volume = this.#volume, Tempo = this.#tempo } = update;
    const resettled = Volume !== this.#volume || Tempo !== this.#tempo;
    if (update.IsPause === true) this.#pause(nowMs, stage);
    if (VideoSrc !== undefined || SeekSecond !== undefined || resettled) {
      const asked = Promise.withResolvers<void>();
      const before = { volume: this.#volume, tempo: this.#tempo };
      this.#volume = Volume;
      this.#tempo = Tempo;
      this.#bringChanged({ url: VideoSrc, seekMs: SeekSecond === undefined ? undefined : SeekSecond * 1000, asked });
      try {
        await asked.promise;
      } catch (error) {
        if (this.#volume === Volume && this.#tempo === Tempo) {
          this.#volume = before.volume;
          this.#tempo = before.tempo;
        }
        throw error;
      }
    }
    if (update.IsPause === false) this.#resume(nowMs, stage);
  }

  #checkSeek(second: number): void {
    const { durationMs } = this;
    const why = this.live
      ? "a live source is always played at its newest"
      : durationMs !== null && second * 1000 >= durationMs
        ? `the source is ${(durationMs / 1000).toFixed(1)} s long`
        : undefined;
    if (why !== undefined) throw new RoomcastError("InvalidParameterValue", `SeekSecond cannot be ${second}: ${why}.`);
  }

  /** The room is lost: lets the source go; `prepare` opens it again where the room stopped seeing it. */
  async suspend(stage: Stage): Promise<void> {
    stage.timeline.clear();
    const asked = this.#incoming?.asked;
    this.#drop(this.#current);
    this.#current = undefined;
    this.#away = undefined;
    this.#setState("reconnecting");
    if (this.#incoming !== undefined && this.#incoming.role !== "switch") await this.#discardIncoming(asked);
  }

  /** Idempotent; resolves when every source is closed. */
  async close(): Promise<void> {
    this.#drop(this.#current);
    this.#current = undefined;
    await this.#discardIncoming(this.#incoming?.asked);
    await this.#preloads.close();
    await Promise.all(this.#closing);
  }

  #attendIncoming(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const incoming = this.#incoming;
    if (incoming === undefined) return undefined;
    const { state } = incoming.prepared;
    // What fails to come next does not take away what is still playing.
    if (state.name === "failed" && incoming.role === "next" && !stage.timeline.drained) return undefined;
    if (state.name === "failed") return this.#onIncomingFailed(incoming, state.error, nowMs);
    if (state.name === "ready" && this.#mayCut(incoming, nowMs, stage)) this.#cut(incoming, nowMs, stage);
    return undefined;
  }

  #mayCut({ role, prepared }: Incoming, nowMs: number, stage: Stage): boolean {
    switch (role) {
      case "start":
        return nowMs >= (this.#options.notBeforeMs ?? nowMs);
      case "next":
        return stage.timeline.drained;
      case "continue":
        return this.#paused || stage.timeline.drained || this.#positionMs >= prepared.request.startAtMs;
      default:
        return true;
    }
  }

  #cut(incoming: Incoming, nowMs: number, stage: Stage): void {
    const { prepared, role, place, programme, asked } = incoming;
    const source = prepared.take();
    const before = this.#current;
    this.#incoming = undefined;
    this.#current = source;
    this.#info = source.info;
    this.#place = place;
    this.#programme = programme;
    this.#away = undefined;
    this.#cutAtMs = nowMs;
    this.#movedAtMs = nowMs;
    this.#silence = new SilenceWatch(nowMs, this.#options.limits.sourceSilenceMs);
    stage.timeline.resume();
    // Reopened, a source goes on where the old one stands by now, however long that took.
    const { startAtMs } = prepared.request;
    const fromMs = role === "continue" ? Math.max(startAtMs, this.#positionMs) : startAtMs;
    stage.timeline.cutTo(source, { nowMs, fromMs }, stage.sink);
    // A paused player shows the first picture of what it was switched to.
    stage.timeline.advance(nowMs, stage.sink);
    if (this.#paused) this.#pause(nowMs, stage);
    else this.#setState("pushing");
    this.#positionMs = stage.timeline.positionMs;
    if (this.#onAirSinceMs === undefined) {
      this.#onAirSinceMs = nowMs;
      this.#preload(this.#preloaded);
    }
    this.#drop(before);
    asked?.resolve();
    this.#options.log.info({ role, item: place.item, positionMs: Math.round(this.#positionMs) }, "on the air");
  }

  #onIncomingFailed(incoming: Incoming, error: RoomcastError, nowMs: number): PlayerEnd | undefined {
    this.#incoming = undefined;
    incoming.asked?.reject(error);
    const isWish = incoming.role === "switch" || incoming.role === "continue";
    if (isWish && this.#onAirSinceMs !== undefined) {
      // Where the room or a long pause took the old source away meanwhile, it is fetched again.
      if (!this.#paused && this.#away === undefined) this.prepare();
      return undefined;
    }
    if (incoming.role === "return" && this.#away !== undefined && mayReturn(error)) return this.#tryLater(nowMs, 0);
    return { name: "failed", error };
  }

  #attendCurrent(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const source = this.#current;
    if (source === undefined) return undefined;
    if (stage.timeline.drained) return this.#onDrained(source, nowMs, stage);
    const heard = source.peek() !== undefined || source.end !== undefined;
    if (this.#silence?.look(nowMs, heard) === true) {
      const seconds = this.#options.limits.sourceSilenceMs / 1000;
      return this.#onLost(
        new RoomcastError("FailedOperation.SourceTimeout", `The source gave no media for ${seconds} s.`),
        { nowMs, stage },
      );
    }
    if (this.#incoming === undefined && this.#isNearEnd(source)) this.#bringNext();
    return undefined;
  }

  #isNearEnd(source: Source): boolean {
    const { durationMs, live } = source.info;
    if (live) return false;
    return source.end !== undefined || (durationMs !== null && durationMs - this.#positionMs < PREPARE_AHEAD_MS);
  }

  #onDrained(source: Source, nowMs: number, stage: Stage): PlayerEnd | undefined {
    // What was asked for, or comes next, is on its way: the gap is filled until it is there.
    if (this.#incoming !== undefined) return undefined;
    const { end } = source;
    if (end?.name === "failed") return this.#onLost(end.error, { nowMs, stage });
    if (source.info.live) return this.#onAway({ name: "finished" }, { nowMs, stage });
    this.#positionMs = source.info.durationMs ?? this.#positionMs;
    return this.#bringNext() ? undefined : { name: "finished" };
  }

  #onLost(error: RoomcastError, at: { nowMs: number; stage: Stage }): PlayerEnd | undefined {
    const end = { name: "failed", error } as const;
    return this.live && mayReturn(error) ? this.#onAway(end, at) : end;
  }

  /** The live source is gone: the room sees its last picture while it is waited for. */
  #onAway(first: PlayerEnd, { nowMs, stage }: { nowMs: number; stage: Stage }): PlayerEnd | undefined {
    this.#away = { first, tryAtMs: nowMs };
    stage.timeline.clear();
    this.#drop(this.#current);
    this.#options.log.warn(
      first.name === "failed" ? { err: first.error } : {},
      "the live source is gone; waiting for it",
    );
    this.#setState("reconnecting");
    return this.#tryLater(nowMs, this.#movedAtMs - this.#cutAtMs);
  }

  #tryLater(nowMs: number, workedForMs: number): PlayerEnd | undefined {
    if (this.#away === undefined) return undefined;
    const delayMs = this.#backoff.failed(nowMs, workedForMs);
    if (delayMs === undefined) return this.#away.first;
    this.#away.tryAtMs = nowMs + delayMs;
    return undefined;
  }

  #attendAway(nowMs: number): PlayerEnd | undefined {
    if (this.#away !== undefined && this.#incoming === undefined && nowMs >= this.#away.tryAtMs) {
      this.#bring({ role: "return", place: this.#place, startAtMs: 0 });
    }
    return undefined;
  }

  #attendPause(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const pausedForMs = nowMs - this.#pausedSinceMs;
    if (pausedForMs > this.#options.limits.longestPauseMs) {
      return { name: "aborted", reason: "It was paused for longer than a pause may last." };
    }
    const holdMs = this.live ? 0 : LONGEST_HELD_PAUSE_MS;
    if (this.#current !== undefined && this.#incoming === undefined && pausedForMs > holdMs) {
      stage.timeline.clear();
      this.#drop(this.#current);
      this.#current = undefined;
    }
    return undefined;
  }

  #pause(nowMs: number, stage: Stage): void {
    if (this.#state !== "paused") this.#pausedSinceMs = nowMs;
    this.#paused = true;
    stage.timeline.pause();
    this.#setState("paused");
  }

  #resume(nowMs: number, stage: Stage): void {
    if (!this.#paused) return;
    this.#paused = false;
    stage.timeline.resume();
    if (this.#current === undefined) {
      this.#bring({ role: "switch", place: this.#place, startAtMs: this.live ? 0 : this.#positionMs });
    } else {
      this.#silence = new SilenceWatch(nowMs, this.#options.limits.sourceSilenceMs);
      this.#setState("pushing");
    }
  }

  #bringChanged(wish: {
    url: string | undefined;
    seekMs: number | undefined;
    asked: PromiseWithResolvers<void>;
  }): void {
    const { url, seekMs, asked } = wish;
    if (url !== undefined) {
      const programme = { items: [url], plays: 1 };
      this.#bring({ role: "switch", place: { item: 0, round: 0 }, startAtMs: seekMs ?? 0, programme, asked });
    } else if (seekMs !== undefined || this.live) {
      this.#bring({ role: "switch", place: this.#place, startAtMs: seekMs ?? 0, asked });
    } else {
      const startAtMs = this.#positionMs + (this.#paused ? 0 : REOPEN_MS);
      this.#bring({ role: "continue", place: this.#place, startAtMs, asked });
    }
  }

  #bringNext(): boolean {
    const place = placeAfter(this.#programme, this.#place);
    if (place !== null) this.#bring({ role: "next", place, startAtMs: 0 });
    return place !== null;
  }

  /** Sends for a source. Whatever else was on its way is dropped. */
  #bring(wish: {
    readonly role: Incoming["role"];
    readonly place: ProgrammePlace;
    readonly startAtMs: number;
    readonly programme?: Programme;
    readonly asked?: PromiseWithResolvers<void>;
  }): void {
    void this.#discardIncoming(this.#incoming?.asked);
    const programme = wish.programme ?? this.#programme;
    const request = this.#requestFor(programme.items[wish.place.item] ?? "", wish.startAtMs);
    const prepared = this.#preloads.take(request) ?? new PreparedSource(request, this.#options.open);
    prepared.onSettled = this.#options.onReady;
    // Before the first picture there is nothing that could play on: what was to be switched to is the start.
    const role = this.#onAirSinceMs === undefined ? "start" : wish.role;
    this.#incoming = { prepared, role, place: wish.place, programme, asked: wish.asked };
    if (prepared.state.name !== "opening") this.#options.onReady();
  }

  async #discardIncoming(asked: PromiseWithResolvers<void> | undefined): Promise<void> {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    asked?.reject(
      new RoomcastError("FailedOperation.Superseded", "A newer change, or the end of the task, came before."),
    );
    const discarded = incoming?.prepared.discard();
    if (discarded === undefined) return;
    this.#track(discarded);
    await discarded;
  }

  #preload(urls: readonly string[]): void {
    this.#preloaded = urls;
    // What is prepared must fit what the session sends, which its first source decides.
    if (this.#onAirSinceMs !== undefined) this.#preloads.set(urls.map((url) => this.#requestFor(url, 0)));
  }

  #requestFor(url: string, startAtMs: number): SourceRequest {
    return { url, startAtMs, volume: this.#volume, tempo: this.#tempo, format: this.#options.format() };
  }

  #drop(source: Source | undefined): void {
    if (source !== undefined) this.#track(source.close());
  }

  #track(closing: Promise<void>): void {
    const tracked = closing.finally(() => this.#closing.delete(tracked));
    this.#closing.add(tracked);
  }

  #setState(state: ActiveStateName): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }
}
