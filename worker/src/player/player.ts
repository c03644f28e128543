import {
  type ActiveStateName,
  type PlanSummary,
  RoomcastError,
  type SkippedItems,
  type TaskUpdate,
} from "@roomcast/shared";
import type { Source, SourceInfo } from "../source/source.ts";
import type { Timeline, TimelineSink } from "../timeline/timeline.ts";
import type { FailedItem } from "./failed-items.ts";
import { type IncomingSource, IncomingSources } from "./incoming-sources.ts";
import { mayGoOnAir } from "./may-go-on-air.ts";
import { PauseDuration } from "./pause-duration.ts";
import { PlaySettings } from "./play-settings.ts";
import type { PlayerEnd, PlayerOptions } from "./player-options.ts";
import { ClosingSources, type SourceRequest } from "./prepared-source.ts";
import type { ProgrammePlace } from "./programme.ts";
import { ProgrammeProgress } from "./programme-progress.ts";
import { checkSeek, reopenAtMs, type SourceChange, sourceChange } from "./source-change.ts";
import { SourceOnAir } from "./source-on-air.ts";
import { SourceRetries } from "./source-retries.ts";
import { retryPolicyFor } from "./source-retry-policy.ts";

/** Where the player puts its media. */
export interface Stage {
  readonly timeline: Timeline;
  readonly sink: TimelineSink;
}

interface At {
  readonly nowMs: number;
  readonly stage: Stage;
}

/** Plays a programme onto a timeline: one source on the air, at most one more on its way, and what is preloaded. */
export class Player {
  readonly #options: PlayerOptions;
  readonly #closings = new ClosingSources();
  readonly #incomingSources: IncomingSources;
  readonly #onAir: SourceOnAir;
  readonly #retries: SourceRetries;
  readonly #progress: ProgrammeProgress;
  readonly #pause: PauseDuration;
  readonly #settings: PlaySettings;
  #preloaded: readonly string[];
  /**
   * What it plays on, from its first picture until it is closed. Without a stage it is not on the air: it records what is
   * wished of it and changes nothing that another player uses.
   */
  #stage: Stage | undefined;
  #state: ActiveStateName = "starting";
  /** Why nothing of the programme could be opened. */
  #startError: RoomcastError | undefined;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#progress = new ProgrammeProgress(options);
    this.#settings = new PlaySettings(options);
    this.#pause = new PauseDuration(options.paused, options.limits.longestPauseMs);
    this.#retries = new SourceRetries(options.limits.idleTimeoutMs);
    const { open, log } = options;
    this.#incomingSources = new IncomingSources({
      open,
      log,
      closings: this.#closings,
      onReady: () => this.#onReady(),
    });
    this.#onAir = new SourceOnAir(options.limits, this.#closings);
    this.#preloaded = options.preload;
  }

  get state(): ActiveStateName {
    return this.#state;
  }

  /** Items of the programme that were passed over; undefined: none was. */
  get skipped(): SkippedItems | undefined {
    return this.#progress.skipped;
  }

  get item(): number {
    return this.#progress.place.item;
  }

  /** Position in the current item of what the room was sent last, ms. */
  get positionMs(): number {
    return this.#progress.positionMs;
  }

  get durationMs(): number | null {
    return this.#onAir.info?.durationMs ?? null;
  }

  get plan(): PlanSummary | null {
    return this.#onAir.info?.plan ?? null;
  }

  /** Of what is on the air, or is ready to be; undefined: nothing was yet. */
  get info(): SourceInfo | undefined {
    const state = this.#incomingSources.current?.prepared.state;
    return this.#onAir.info ?? (state?.name === "ready" ? state.source.info : undefined);
  }

  get live(): boolean {
    return this.#onAir.info?.live ?? this.#options.live;
  }

  /** Whether the first source is there, or why not; undefined: not known yet. */
  get prepared(): { readonly error: RoomcastError | null } | undefined {
    // What was on the air before is tried again, once the room is there.
    if (this.#onAir.hasBegun) return { error: null };
    if (this.#startError !== undefined) return { error: this.#startError };
    return this.#incomingSources.current?.prepared.state.name === "ready" ? { error: null } : undefined;
  }

  /** What it has opened or is opening, on the air or not; null: it is not known yet what that is. */
  get holds(): readonly (SourceInfo | null)[] {
    const { source, info } = this.#onAir;
    // What is away, or was closed in a long pause, takes its room again when it comes back.
    const keepsRoom = source !== undefined || this.#incomingSources.current === undefined;
    return [...(keepsRoom ? [info ?? null] : []), ...this.#incomingSources.holds];
  }

  /** Opens what is to be played first, or after `suspend` what was on the air. */
  prepare(): void {
    if (this.#onAir.source !== undefined || this.#isSomethingComing) return;
    this.#bring({
      role: "start",
      place: this.#progress.place,
      startAtMs: this.live ? 0 : this.#progress.positionMs,
    });
  }

  /** Moves everything on by one tick; returns the end when it is reached. */
  tick(nowMs: number, stage: Stage): PlayerEnd | undefined {
    // It failed after the room was entered.
    if (this.#startError !== undefined) return { name: "failed", error: this.#startError };
    const failure = this.#attendIncoming(nowMs, stage);
    if (failure !== undefined) return failure;
    stage.timeline.advance(nowMs, stage.sink);
    // What comes next need not wait for the next tick when the last picture has just been sent.
    if (this.#incomingSources.current?.role === "next" && stage.timeline.drained) this.#attendIncoming(nowMs, stage);
    if (this.#onAir.source !== undefined && this.#progress.positionMs !== stage.timeline.positionMs) {
      this.#progress.positionMs = stage.timeline.positionMs;
      this.#onAir.moved(nowMs);
    }
    if (this.#onAir.isOver(nowMs)) return { name: "finished" };
    if (this.#onAir.becomesWell()) this.#progress.seenWell();
    if (this.#pause.active) return this.#attendPause(nowMs, stage);
    return this.#attendCurrent(nowMs, stage);
  }

  /** The room cannot take the live source any more: what waits is dropped up to its next keyframe. */
  dropWaiting(): void {
    if (this.live) this.#stage?.timeline.dropWaiting();
  }

  /**
   * Changes what is played. Resolves when it is on the air; rejects with what went wrong, and then all is as it was.
   *
   * @throws RoomcastError of the source; `FailedOperation.Superseded` when a newer change came.
   */
  async change(update: TaskUpdate, nowMs: number): Promise<void> {
    if (update.VideoSrc === undefined && update.SeekSecond !== undefined) checkSeek(update.SeekSecond, this);
    const moved = update.VideoSrc !== undefined || update.SeekSecond !== undefined;
    if (moved || this.#settings.isChangedBy(update)) await this.#changeSource(update);
    else if (update.IsPause === true) this.#standStill(nowMs);
    else if (update.IsPause === false) this.#goOn(nowMs);
    if (update.Preload !== undefined) this.#preload(update.Preload);
  }

  async #changeSource(update: TaskUpdate): Promise<void> {
    const asked = Promise.withResolvers<void>();
    const takeBack = this.#settings.change(update);
    const now = { place: this.#progress.place, positionMs: this.#progress.positionMs, paused: !this.#isMoving };
    const { live, durationMs } = this;
    this.#bring(sourceChange(update, { ...now, live, durationMs }), { asked, pauses: update.IsPause });
    try {
      await asked.promise;
    } catch (error) {
      takeBack();
      throw error;
    }
  }

  /** The room is lost: lets the source go; `prepare` opens it again where the room stopped seeing it. */
  async suspend(): Promise<void> {
    this.#onAir.takeOff();
    this.#retries.drop();
    if (this.#onAir.hasBegun) this.#setState("reconnecting");
    // What a user asked for still comes: the room sees it when it is back.
    if (this.#incomingSources.current?.asked === undefined) await this.#incomingSources.discard();
  }

  /** Idempotent; resolves when every source is closed. */
  async close(): Promise<void> {
    this.#stage = undefined;
    this.#onAir.takeOff();
    await this.#incomingSources.close();
    await this.#closings.ended();
  }

  /** Whether the position goes on by itself. */
  get #isMoving(): boolean {
    return this.#onAir.source !== undefined && !this.#pause.active;
  }

  /** On its way, or about to be sent for again. */
  get #isSomethingComing(): boolean {
    return this.#incomingSources.current !== undefined || this.#retries.wish !== undefined;
  }

  /** What was sent for is ready, or has failed. */
  #onReady(): void {
    const incoming = this.#incomingSources.current;
    // What fails before the first picture is seen to at once: nobody ticks a task that is not in the room yet.
    if (incoming?.prepared.state.name === "failed" && !this.#onAir.hasBegun) {
      this.#onStartFailed(incoming, incoming.prepared.state.error);
    }
    this.#options.onReady();
  }

  #onStartFailed({ asked, place, programme }: IncomingSource, error: RoomcastError): void {
    this.#incomingSources.settle();
    if (asked !== undefined) {
      asked.reject(error);
      this.prepare();
      return;
    }
    this.#startError = this.#progress.giveUpStart({ programme, place, error });
    if (this.#startError === undefined) this.prepare();
  }

  #attendIncoming(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const incoming = this.#incomingSources.current;
    if (incoming === undefined) return this.#tryAgain(nowMs);
    const { state } = incoming.prepared;
    const { drained } = stage.timeline;
    if (state.name === "failed") return this.#onIncomingFailed(incoming, state.error, { nowMs, stage });
    const end = this.#onAir.source?.end;
    if (incoming.role === "next" && drained && end?.name === "failed") return this.#onLost(end.error, { nowMs, stage });
    const now = { nowMs, notBeforeMs: this.#options.notBeforeMs, positionMs: this.#progress.positionMs, drained };
    const { startAtMs } = incoming.prepared.request;
    const may = mayGoOnAir(incoming.role, startAtMs, { ...now, paused: this.#pause.active });
    if (state.name === "ready" && may && !this.#opensAgain(incoming)) this.#cut(incoming, nowMs, stage);
    return undefined;
  }

  /** What was to go on where the room is, but was opened too slowly for that, is opened again further on. */
  #opensAgain({ role, place, programme, prepared, sentForMs, asked, pauses }: IncomingSource): boolean {
    if (role !== "continue") return false;
    const { startAtMs } = prepared.request;
    const againAtMs = reopenAtMs({ startAtMs, sentForMs }, this.#progress.positionMs);
    if (againAtMs === undefined || againAtMs >= (this.durationMs ?? Number.POSITIVE_INFINITY)) return false;
    this.#incomingSources.settle();
    this.#closings.add(prepared.discard());
    this.#bring({ role, place, programme, startAtMs: againAtMs }, { asked, pauses });
    return true;
  }

  #cut(incoming: IncomingSource, nowMs: number, stage: Stage): void {
    const { prepared, role, place, programme, asked, pauses } = incoming;
    const source = prepared.take();
    const first = !this.#onAir.hasBegun;
    this.#incomingSources.settle();
    const before = this.#onAir.put(source, nowMs);
    this.#retries.drop();
    if (this.#progress.show({ programme, place })) {
      this.#onAir.beginItem(nowMs);
      this.#retries.reset();
    }
    if (pauses !== undefined) this.#pause.set(pauses);
    this.#stage = stage;
    stage.timeline.resume();
    // Reopened, a source goes on where the old one stands by now, however long that took.
    const { startAtMs } = prepared.request;
    const fromMs = role === "continue" ? Math.max(startAtMs, this.#progress.positionMs) : startAtMs;
    stage.timeline.cutTo(source, { nowMs, fromMs }, stage.sink);
    // A paused player shows the first picture of what it was switched to.
    stage.timeline.advance(nowMs, stage.sink);
    if (this.#pause.active) this.#standStill(nowMs);
    else this.#setState("pushing");
    this.#progress.positionMs = stage.timeline.positionMs;
    if (first) this.#preload(this.#preloaded);
    if (before !== undefined) this.#closings.add(before.close());
    asked?.resolve();
    this.#options.log.info({ role, item: place.item, positionMs: Math.round(this.#progress.positionMs) }, "on the air");
  }

  #onIncomingFailed(incoming: IncomingSource, error: RoomcastError, at: At): PlayerEnd | undefined {
    if (incoming.asked === undefined) return this.#onProgrammeFailed(incoming, error, at);
    this.#incomingSources.settle();
    incoming.asked.reject(error);
    // Where the room or a long pause took the old source away meanwhile, it is fetched again.
    if (!this.#pause.active) this.prepare();
    return undefined;
  }

  /** What could not be opened is tried again while the room sees the last picture. */
  #onProgrammeFailed(incoming: IncomingSource, error: RoomcastError, { nowMs, stage }: At): PlayerEnd | undefined {
    const { role, place, programme, prepared } = incoming;
    const { drained } = stage.timeline;
    // Nobody misses it yet, and it does not take away what is still playing.
    if (!drained) this.#retries.reset();
    this.#incomingSources.settle();
    const wish = { role, place, programme, startAtMs: prepared.request.startAtMs };
    const policy = retryPolicyFor(error, { live: this.live, history: this.#progress.historyOf(place) });
    const { workedForMs } = this.#onAir;
    const final = this.#retries.failed({ wish, error, policy, nowMs, workedForMs });
    if (final !== undefined) return this.#passOver({ place, programme, error: final }, { nowMs, stage });
    this.#options.log.warn({ err: error, item: place.item }, "the source could not be opened; trying again");
    if (drained && !this.#pause.active) this.#setState("reconnecting");
    return undefined;
  }

  #tryAgain(nowMs: number): undefined {
    const { wish } = this.#retries;
    if (wish === undefined || !this.#retries.isDue(nowMs)) return;
    // In a pause the room sees the last picture anyway; only where it was entered again it needs one.
    if (this.#pause.active && wish.role !== "start") return;
    this.#bring(wish);
  }

  #attendCurrent(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const source = this.#onAir.source;
    if (source === undefined) return undefined;
    if (stage.timeline.drained) return this.#onDrained(source, nowMs, stage);
    if (this.#onAir.isSilent(nowMs)) {
      const seconds = this.#options.limits.sourceSilenceMs / 1000;
      return this.#onLost(
        new RoomcastError("FailedOperation.SourceTimeout", `The source gave no media for ${seconds} s.`),
        { nowMs, stage },
      );
    }
    if (!this.#isSomethingComing && this.#onAir.isNearEnd(this.#progress.positionMs)) {
      const { next } = this.#progress;
      if (next.name === "item") this.#bringNext(next.place);
    }
    return undefined;
  }

  #onDrained(source: Source, nowMs: number, stage: Stage): PlayerEnd | undefined {
    // What was asked for, or comes next, is on its way: the gap is filled until it is there.
    if (this.#isSomethingComing) return undefined;
    const { end } = source;
    if (end?.name === "failed") return this.#onLost(end.error, { nowMs, stage });
    this.#progress.positionMs = source.info.durationMs ?? this.#progress.positionMs;
    const { next } = this.#progress;
    if (next.name !== "item") return next;
    this.#bringNext(next.place);
    return undefined;
  }

  /** The source is gone: the room sees its last picture while it is waited for. */
  #onLost(error: RoomcastError, { nowMs, stage }: At): PlayerEnd | undefined {
    const { live } = this;
    const place = this.#progress.place;
    const programme = this.#progress.programme;
    const wish = { role: "return", place, startAtMs: live ? 0 : this.#progress.positionMs } as const;
    const policy = retryPolicyFor(error, { live, history: "brokeOff" });
    const { workedForMs } = this.#onAir;
    const final = this.#retries.failed({ wish, error, policy, nowMs, workedForMs });
    stage.timeline.clear();
    this.#onAir.takeOff();
    if (this.#incomingSources.current?.role === "next") void this.#incomingSources.discard();
    if (final !== undefined) return this.#passOver({ place, programme, error: final }, { nowMs, stage });
    this.#options.log.warn({ err: error, item: place.item }, "the source is gone; waiting for it");
    this.#setState("reconnecting");
    return undefined;
  }

  /** An item is given up: the next one is sent for, or the programme ends. */
  #passOver(item: FailedItem, { stage }: At): PlayerEnd | undefined {
    this.#retries.reset();
    const next = this.#progress.giveUp(item, this.#onAir.source === undefined);
    if (next.name === "item") this.#bringNext(next.place);
    // What still plays is not taken away by what comes after it.
    else if (stage.timeline.drained) return next;
    return undefined;
  }

  #attendPause(nowMs: number, stage: Stage): PlayerEnd | undefined {
    if (this.#pause.isTooLong(nowMs)) {
      return { name: "aborted", reason: "It was paused for longer than a pause may last." };
    }
    const idle = this.#onAir.source !== undefined && this.#incomingSources.current === undefined;
    if (idle && !this.#pause.holdsSource(nowMs, this.live)) {
      stage.timeline.clear();
      this.#onAir.takeOff();
    }
    return undefined;
  }

  #standStill(nowMs: number): void {
    this.#pause.begin(nowMs, this.#state !== "paused");
    this.#incomingSources.forgetPause();
    // What is wished before the first picture holds from that picture on.
    if (this.#stage === undefined) return;
    this.#stage.timeline.pause();
    this.#setState("paused");
  }

  #goOn(nowMs: number): void {
    this.#incomingSources.forgetPause();
    if (!this.#pause.active) return;
    this.#pause.end();
    if (this.#stage === undefined) return;
    this.#stage.timeline.resume();
    this.#retries.tryNow();
    if (this.#onAir.source !== undefined) {
      this.#onAir.listenAnew(nowMs);
      this.#setState("pushing");
    } else if (this.#isSomethingComing) {
      this.#setState("reconnecting");
    } else {
      this.#bring({
        role: "return",
        place: this.#progress.place,
        startAtMs: this.live ? 0 : this.#progress.positionMs,
      });
    }
  }

  #bringNext(place: ProgrammePlace): void {
    this.#bring({ role: "next", place, startAtMs: 0 });
  }

  #bring(
    { role, place, startAtMs, programme = this.#progress.programme }: SourceChange,
    { asked, pauses }: Partial<Pick<IncomingSource, "asked" | "pauses">> = {},
  ): void {
    // Before the first picture there is nothing that could play on: what was to be switched to is the start.
    const asRole = this.#onAir.hasBegun ? role : "start";
    const request = {
      ...this.#requestFor(programme.items[place.item] ?? "", startAtMs),
      ...(asRole === "return" ? { returns: true } : {}),
    };
    this.#incomingSources.bring(request, {
      role: asRole,
      place,
      sentForMs: this.#progress.positionMs,
      programme,
      asked,
      pauses,
    });
  }

  #preload(urls: readonly string[]): void {
    this.#preloaded = urls;
    // What is prepared must fit what the session sends, which its first source decides.
    if (this.#onAir.hasBegun) this.#incomingSources.preload(urls.map((url) => this.#requestFor(url, 0)));
  }

  #requestFor(url: string, startAtMs: number): SourceRequest {
    return { url, startAtMs, ...this.#settings.now, format: this.#options.format() };
  }

  #setState(state: ActiveStateName): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }
}
