import { type ActiveStateName, type PlanSummary, RoomcastError, type TaskUpdate } from "@roomcast/shared";
import type { Source, SourceInfo } from "../source/source.ts";
import type { Timeline, TimelineSink } from "../timeline/timeline.ts";
import { Absence } from "./absence.ts";
import { Arrivals, type Incoming } from "./arrivals.ts";
import { type ChangeWish, changeWish, checkSeek } from "./change-wish.ts";
import { Closings } from "./closings.ts";
import { mayCut } from "./may-cut.ts";
import { OnAir } from "./on-air.ts";
import { Pause } from "./pause.ts";
import { PlaySettings } from "./play-settings.ts";
import type { PlayerEnd } from "./player-end.ts";
import type { PlayerOptions } from "./player-options.ts";
import type { SourceRequest } from "./prepared-source.ts";
import { type Programme, type ProgrammePlace, placeAfter } from "./programme.ts";
import { mayOpenLater, mayReturn } from "./reconnect-policy.ts";
import { SecondTries } from "./second-tries.ts";

/** Where the player puts its media. */
export interface Stage {
  readonly timeline: Timeline;
  readonly sink: TimelineSink;
}

interface FailedAt {
  readonly nowMs: number;
  /** All of what is on the air was sent, or nothing is. */
  readonly drained: boolean;
}

/** Plays a programme onto a timeline: one source on the air, at most one more on its way, and what is preloaded. */
export class Player {
  readonly #options: PlayerOptions;
  readonly #closings = new Closings();
  readonly #arrivals: Arrivals;
  readonly #onAir: OnAir;
  readonly #absence: Absence;
  readonly #secondTries: SecondTries;
  readonly #pause: Pause;
  readonly #settings: PlaySettings;
  #preloaded: readonly string[];
  #programme: Programme;
  #place: ProgrammePlace;
  #positionMs: number;
  #state: ActiveStateName = "starting";

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#programme = options.programme;
    this.#place = { item: options.startAt.item, round: 0 };
    this.#positionMs = options.startAt.positionMs;
    this.#settings = new PlaySettings(options);
    this.#pause = new Pause(options.paused, options.limits.longestPauseMs);
    this.#absence = new Absence(options.limits.idleTimeoutMs);
    this.#secondTries = new SecondTries(options.limits.idleTimeoutMs);
    const { open, log, onReady } = options;
    this.#arrivals = new Arrivals({ open, log, closings: this.#closings, onReady });
    this.#onAir = new OnAir(options.limits, this.#closings);
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
    return this.#onAir.info?.durationMs ?? null;
  }

  get plan(): PlanSummary | null {
    return this.#onAir.info?.plan ?? null;
  }

  /** Of what is on the air, or is ready to be; undefined: nothing was yet. */
  get info(): SourceInfo | undefined {
    const state = this.#arrivals.incoming?.prepared.state;
    return this.#onAir.info ?? (state?.name === "ready" ? state.source.info : undefined);
  }

  get live(): boolean {
    return this.#onAir.info?.live ?? this.#options.live;
  }

  /** Whether the first source is there, or why not; undefined: not known yet. */
  get prepared(): { readonly error: RoomcastError | null } | undefined {
    // What was on the air before is tried again, once the room is there.
    if (this.#onAir.hasBegun) return { error: null };
    const state = this.#arrivals.incoming?.prepared.state;
    if (state?.name === "ready") return { error: null };
    return state?.name === "failed" ? { error: state.error } : undefined;
  }

  /** Opens what is to be played first, or after `suspend` what was on the air. */
  prepare(): void {
    if (this.#onAir.source !== undefined || this.#arrivals.incoming !== undefined) return;
    this.#bring({ role: "start", place: this.#place, startAtMs: this.live ? 0 : this.#positionMs });
  }

  /** Moves everything on by one tick; returns the end when it is reached. */
  tick(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const failure = this.#attendIncoming(nowMs, stage);
    if (failure !== undefined) return failure;
    stage.timeline.advance(nowMs, stage.sink);
    // What comes next need not wait for the next tick when the last picture has just been sent.
    if (this.#arrivals.incoming?.role === "next" && stage.timeline.drained) this.#attendIncoming(nowMs, stage);
    if (this.#onAir.source !== undefined && this.#positionMs !== stage.timeline.positionMs) {
      this.#positionMs = stage.timeline.positionMs;
      this.#onAir.moved(nowMs);
    }
    if (this.#onAir.isOver(nowMs)) return { name: "finished" };
    if (this.#pause.active) return this.#attendPause(nowMs, stage);
    if (this.#absence.isNow) return this.#attendAway(nowMs);
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
    if (update.VideoSrc === undefined && update.SeekSecond !== undefined) checkSeek(update.SeekSecond, this);
    if (update.Preload !== undefined) this.#preload(update.Preload);
    const moved = update.VideoSrc !== undefined || update.SeekSecond !== undefined;
    if (update.IsPause === true) this.#standStill(nowMs, stage);
    if (moved || this.#settings.isChangedBy(update)) {
      const asked = Promise.withResolvers<void>();
      const takeBack = this.#settings.change(update);
      const now = { place: this.#place, positionMs: this.#positionMs, paused: this.#pause.active };
      const { live, durationMs } = this;
      this.#bring(changeWish(update, { ...now, live, durationMs }), asked);
      try {
        await asked.promise;
      } catch (error) {
        takeBack();
        throw error;
      }
    }
    if (update.IsPause === false) this.#goOn(nowMs, stage);
  }

  /** The room is lost: lets the source go; `prepare` opens it again where the room stopped seeing it. */
  async suspend(stage: Stage): Promise<void> {
    stage.timeline.leave();
    this.#onAir.takeOff();
    this.#absence.end();
    this.#secondTries.drop();
    this.#setState("reconnecting");
    if (this.#arrivals.incoming?.role !== "switch") await this.#arrivals.discard();
  }

  /** Idempotent; resolves when every source is closed. */
  async close(): Promise<void> {
    this.#onAir.takeOff();
    await this.#arrivals.close();
    await this.#closings.ended();
  }

  /** On its way, or about to be sent for again. */
  get #isSomethingComing(): boolean {
    return this.#arrivals.incoming !== undefined || this.#secondTries.pending !== undefined;
  }

  #attendIncoming(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const { incoming } = this.#arrivals;
    if (incoming === undefined) return this.#tryAgain(nowMs);
    const { state } = incoming.prepared;
    const { drained } = stage.timeline;
    if (state.name === "failed") return this.#onIncomingFailed(incoming, state.error, { nowMs, drained });
    const end = this.#onAir.source?.end;
    if (incoming.role === "next" && drained && end?.name === "failed") return this.#onLost(end.error, { nowMs, stage });
    const now = { nowMs, notBeforeMs: this.#options.notBeforeMs, positionMs: this.#positionMs, drained };
    const { startAtMs } = incoming.prepared.request;
    const may = mayCut(incoming.role, startAtMs, { ...now, paused: this.#pause.active });
    if (state.name === "ready" && may) this.#cut(incoming, nowMs, stage);
    return undefined;
  }

  #cut(incoming: Incoming, nowMs: number, stage: Stage): void {
    const { prepared, role, place, programme, asked } = incoming;
    const source = prepared.take();
    const first = !this.#onAir.hasBegun;
    this.#arrivals.settle();
    const before = this.#onAir.put(source, nowMs);
    this.#place = place;
    this.#programme = programme;
    this.#absence.end();
    this.#secondTries.reset();
    stage.timeline.resume();
    // Reopened, a source goes on where the old one stands by now, however long that took.
    const { startAtMs } = prepared.request;
    const fromMs = role === "continue" ? Math.max(startAtMs, this.#positionMs) : startAtMs;
    stage.timeline.cutTo(source, { nowMs, fromMs }, stage.sink);
    // A paused player shows the first picture of what it was switched to.
    stage.timeline.advance(nowMs, stage.sink);
    if (this.#pause.active) this.#standStill(nowMs, stage);
    else this.#setState("pushing");
    this.#positionMs = stage.timeline.positionMs;
    if (first) this.#preload(this.#preloaded);
    if (before !== undefined) this.#closings.add(before.close());
    asked?.resolve();
    this.#options.log.info({ role, item: place.item, positionMs: Math.round(this.#positionMs) }, "on the air");
  }

  #onIncomingFailed(incoming: Incoming, error: RoomcastError, at: FailedAt): PlayerEnd | undefined {
    if (this.#onAir.hasBegun && (incoming.role === "next" || incoming.role === "start")) {
      return this.#onProgrammeFailed(incoming, error, at);
    }
    this.#arrivals.settle();
    incoming.asked?.reject(error);
    const isWish = incoming.role === "switch" || incoming.role === "continue";
    if (isWish && this.#onAir.hasBegun) {
      // Where the room or a long pause took the old source away meanwhile, it is fetched again.
      if (!this.#pause.active && !this.#absence.isNow) this.prepare();
      return undefined;
    }
    if (incoming.role === "return" && this.#absence.isNow && mayReturn(error)) return this.#absence.failed(at.nowMs);
    return { name: "failed", error };
  }

  /** In the middle of a programme, what could not be opened is tried again while the room sees the last picture. */
  #onProgrammeFailed(incoming: Incoming, error: RoomcastError, { nowMs, drained }: FailedAt): PlayerEnd | undefined {
    // Nobody misses it yet, and it does not take away what is still playing.
    if (!drained) this.#secondTries.reset();
    const passing = this.live ? mayReturn(error) : mayOpenLater(error);
    const { role, place, programme, prepared } = incoming;
    const wish = { role, place, programme, startAtMs: prepared.request.startAtMs };
    if (!passing || !this.#secondTries.failed(wish, nowMs)) return drained ? { name: "failed", error } : undefined;
    this.#arrivals.settle();
    this.#options.log.warn({ err: error, item: place.item }, "the source could not be opened; trying again");
    if (drained && !this.#pause.active) this.#setState("reconnecting");
    return undefined;
  }

  #tryAgain(nowMs: number): undefined {
    // While it stands still nothing comes after what is, or was, on the air.
    if (this.#pause.active && this.#secondTries.pending?.role === "next") return;
    const wish = this.#secondTries.take(nowMs);
    if (wish !== undefined) this.#bring(wish);
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
    if (!this.#isSomethingComing && this.#onAir.isNearEnd(this.#positionMs)) this.#bringNext();
    return undefined;
  }

  #onDrained(source: Source, nowMs: number, stage: Stage): PlayerEnd | undefined {
    // What was asked for, or comes next, is on its way: the gap is filled until it is there.
    if (this.#isSomethingComing) return undefined;
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
    stage.timeline.clear();
    this.#onAir.closeSource();
    this.#options.log.warn(
      first.name === "failed" ? { err: first.error } : {},
      "the live source is gone; waiting for it",
    );
    this.#setState("reconnecting");
    return this.#absence.begin(first, { nowMs, workedForMs: this.#onAir.workedForMs });
  }

  #attendAway(nowMs: number): PlayerEnd | undefined {
    if (this.#arrivals.incoming === undefined && this.#absence.isDue(nowMs)) {
      this.#bring({ role: "return", place: this.#place, startAtMs: 0 });
    }
    return undefined;
  }

  #attendPause(nowMs: number, stage: Stage): PlayerEnd | undefined {
    if (this.#pause.isTooLong(nowMs)) {
      return { name: "aborted", reason: "It was paused for longer than a pause may last." };
    }
    const idle = this.#onAir.source !== undefined && this.#arrivals.incoming === undefined;
    if (idle && !this.#pause.holdsSource(nowMs, this.live)) {
      stage.timeline.clear();
      this.#onAir.takeOff();
    }
    return undefined;
  }

  #standStill(nowMs: number, stage: Stage): void {
    this.#pause.begin(nowMs, this.#state !== "paused");
    stage.timeline.pause();
    this.#setState("paused");
  }

  #goOn(nowMs: number, stage: Stage): void {
    if (!this.#pause.active) return;
    this.#pause.end();
    stage.timeline.resume();
    if (this.#onAir.source === undefined) {
      this.#bring({ role: "switch", place: this.#place, startAtMs: this.live ? 0 : this.#positionMs });
    } else {
      this.#onAir.listenAnew(nowMs);
      this.#setState("pushing");
    }
  }

  #bringNext(): boolean {
    const place = placeAfter(this.#programme, this.#place);
    if (place !== null) this.#bring({ role: "next", place, startAtMs: 0 });
    return place !== null;
  }

  #bring({ role, place, startAtMs, programme = this.#programme }: ChangeWish, asked?: Incoming["asked"]): void {
    this.#secondTries.drop();
    const request = this.#requestFor(programme.items[place.item] ?? "", startAtMs);
    // Before the first picture there is nothing that could play on: what was to be switched to is the start.
    const asRole = this.#onAir.hasBegun ? role : "start";
    this.#arrivals.bring(request, { role: asRole, place, programme, asked });
  }

  #preload(urls: readonly string[]): void {
    this.#preloaded = urls;
    // What is prepared must fit what the session sends, which its first source decides.
    if (this.#onAir.hasBegun) this.#arrivals.preload(urls.map((url) => this.#requestFor(url, 0)));
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
