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

/** The timeline that a player plays on, and its sink. */
export interface Stage {
  readonly timeline: Timeline;
  readonly sink: TimelineSink;
}

interface At {
  readonly nowMs: number;
  readonly stage: Stage;
}

/** Plays a programme on a timeline: one source on the air, at most one incoming, and the preloaded ones. */
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
   * The stage; set from the first picture until the player is closed. Without a stage, the player is not on the air. It
   * then records requested changes but must not touch the timeline, which another player may be using.
   */
  #stage: Stage | undefined;
  #state: ActiveStateName = "starting";
  /** The error if no source of the programme could be opened. */
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

  /** Items of the programme that were skipped; undefined if none were. */
  get skipped(): SkippedItems | undefined {
    return this.#progress.skipped;
  }

  get item(): number {
    return this.#progress.place.item;
  }

  /** Position in the current item of the media that was sent last, ms. */
  get positionMs(): number {
    return this.#progress.positionMs;
  }

  get durationMs(): number | null {
    return this.#onAir.info?.durationMs ?? null;
  }

  get plan(): PlanSummary | null {
    return this.#onAir.info?.plan ?? null;
  }

  /**
   * The info of the source that is on the air, was last on the air, or is ready for it; undefined if there was none
   * yet.
   */
  get info(): SourceInfo | undefined {
    const state = this.#incomingSources.current?.prepared.state;
    return this.#onAir.info ?? (state?.name === "ready" ? state.source.info : undefined);
  }

  get live(): boolean {
    return this.#onAir.info?.live ?? this.#options.live;
  }

  /** Undefined while the first source is opening. After that, `error` is null if it can be played. */
  get prepared(): { readonly error: RoomcastError | null } | undefined {
    // A source that was on the air before is retried once the room is entered.
    if (this.#onAir.hasBegun) return { error: null };
    if (this.#startError !== undefined) return { error: this.#startError };
    return this.#incomingSources.current?.prepared.state.name === "ready" ? { error: null } : undefined;
  }

  /**
   * All sources that are open or being opened, whether on the air or not, with null for each source that is still being
   * opened.
   */
  get holds(): readonly (SourceInfo | null)[] {
    const { source, info } = this.#onAir;
    // A source that is lost, or was closed in a long pause, still counts, because it uses capacity again when it comes
    // back.
    const keepsRoom = source !== undefined || this.#incomingSources.current === undefined;
    return [...(keepsRoom ? [info ?? null] : []), ...this.#incomingSources.holds];
  }

  /** Opens the first source or, after `suspend`, the one that was on the air. */
  prepare(): void {
    if (this.#onAir.source !== undefined || this.#hasIncoming) return;
    this.#open({
      role: "start",
      place: this.#progress.place,
      startAtMs: this.live ? 0 : this.#progress.positionMs,
    });
  }

  /** Advances playback by one tick. Returns how the programme ended, once it has. */
  tick(nowMs: number, stage: Stage): PlayerEnd | undefined {
    // An error is still set here if the first source failed after the room was entered.
    if (this.#startError !== undefined) return { name: "failed", error: this.#startError };
    const failure = this.#attendIncoming(nowMs, stage);
    if (failure !== undefined) return failure;
    stage.timeline.advance(nowMs, stage.sink);
    // The next item need not wait for the next tick when the last picture has just been sent.
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

  /** Drops the queued media of a live source up to its next keyframe, because the room is too slow. */
  dropWaiting(): void {
    if (this.live) this.#stage?.timeline.dropWaiting();
  }

  /**
   * Changes what is played. Resolves when the change is on the air. If the change fails, playback continues unchanged.
   *
   * @throws RoomcastError of the source; `FailedOperation.Superseded` if a newer change came.
   */
  async change(update: TaskUpdate, nowMs: number): Promise<void> {
    if (update.VideoSrc === undefined && update.SeekSecond !== undefined) checkSeek(update.SeekSecond, this);
    const moved = update.VideoSrc !== undefined || update.SeekSecond !== undefined;
    if (moved || this.#settings.isChangedBy(update)) await this.#changeSource(update);
    else if (update.IsPause === true) this.#pausePlayback(nowMs);
    else if (update.IsPause === false) this.#resumePlayback(nowMs);
    if (update.Preload !== undefined) this.#preload(update.Preload);
  }

  async #changeSource(update: TaskUpdate): Promise<void> {
    const asked = Promise.withResolvers<void>();
    const takeBack = this.#settings.change(update);
    const now = { place: this.#progress.place, positionMs: this.#progress.positionMs, paused: !this.#isMoving };
    const { live, durationMs } = this;
    this.#open(sourceChange(update, { ...now, live, durationMs }), { asked, pauses: update.IsPause });
    try {
      await asked.promise;
    } catch (error) {
      takeBack();
      throw error;
    }
  }

  /**
   * Closes the source because the room is lost. `prepare` opens it again at the position where the room stopped seeing
   * it.
   */
  async suspend(): Promise<void> {
    this.#onAir.takeOff();
    this.#retries.drop();
    if (this.#onAir.hasBegun) this.#setState("reconnecting");
    // An incoming source that a user requested is kept, so that it goes on the air once the room is entered again.
    if (this.#incomingSources.current?.asked === undefined) await this.#incomingSources.discard();
  }

  /** Closes the player. Idempotent; resolves when every source is closed. */
  async close(): Promise<void> {
    this.#stage = undefined;
    this.#onAir.takeOff();
    await this.#incomingSources.close();
    await this.#closings.ended();
  }

  /** True while the position advances. */
  get #isMoving(): boolean {
    return this.#onAir.source !== undefined && !this.#pause.active;
  }

  /** True if a source is being opened or will be opened again. */
  get #hasIncoming(): boolean {
    return this.#incomingSources.current !== undefined || this.#retries.change !== undefined;
  }

  /** Called when the incoming source is ready or has failed. */
  #onReady(): void {
    const incoming = this.#incomingSources.current;
    // A failure before the first picture is handled at once, because a task outside the room gets no ticks.
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
    if (incoming === undefined) return this.#retry(nowMs);
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

  /**
   * Opens a source again at a later position if it should continue at the room's position but took too long to open.
   */
  #opensAgain({ role, place, programme, prepared, roomPositionMs, asked, pauses }: IncomingSource): boolean {
    if (role !== "continue") return false;
    const { startAtMs } = prepared.request;
    const againAtMs = reopenAtMs({ startAtMs, roomPositionMs }, this.#progress.positionMs);
    if (againAtMs === undefined || againAtMs >= (this.durationMs ?? Number.POSITIVE_INFINITY)) return false;
    this.#incomingSources.settle();
    this.#closings.add(prepared.discard());
    this.#open({ role, place, programme, startAtMs: againAtMs }, { asked, pauses });
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
    // A source that was opened again with other settings continues at the current position of the old source, however
    // long opening took.
    const { startAtMs } = prepared.request;
    const fromMs = role === "continue" ? Math.max(startAtMs, this.#progress.positionMs) : startAtMs;
    stage.timeline.cutTo(source, { nowMs, fromMs }, stage.sink);
    // A paused player shows the first picture of the new source.
    stage.timeline.advance(nowMs, stage.sink);
    if (this.#pause.active) this.#pausePlayback(nowMs);
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
    // If the old source was closed meanwhile (a lost room, a long pause), it is opened again.
    if (!this.#pause.active) this.prepare();
    return undefined;
  }

  /** Retries a source that could not be opened. Meanwhile the room sees the last picture. */
  #onProgrammeFailed(incoming: IncomingSource, error: RoomcastError, { nowMs, stage }: At): PlayerEnd | undefined {
    const { role, place, programme, prepared } = incoming;
    const { drained } = stage.timeline;
    // If the timeline is not drained, the source is not needed yet, and its failure must not affect the source that is
    // still playing.
    if (!drained) this.#retries.reset();
    this.#incomingSources.settle();
    const change = { role, place, programme, startAtMs: prepared.request.startAtMs };
    const policy = retryPolicyFor(error, { live: this.live, history: this.#progress.historyOf(place) });
    const { workedForMs } = this.#onAir;
    const final = this.#retries.failed({ change, error, policy, nowMs, workedForMs });
    if (final !== undefined) return this.#giveUp({ place, programme, error: final }, { nowMs, stage });
    this.#options.log.warn({ err: error, item: place.item }, "the source could not be opened; trying again");
    if (drained && !this.#pause.active) this.#setState("reconnecting");
    return undefined;
  }

  #retry(nowMs: number): undefined {
    const { change } = this.#retries;
    if (change === undefined || !this.#retries.isDue(nowMs)) return;
    // In a pause the room sees the last picture. A new picture is needed only after the room was entered again.
    if (this.#pause.active && change.role !== "start") return;
    this.#open(change);
  }

  #attendCurrent(nowMs: number, stage: Stage): PlayerEnd | undefined {
    const source = this.#onAir.source;
    if (source === undefined) return undefined;
    if (stage.timeline.drained) return this.#onDrained(source, nowMs, stage);
    if (this.#onAir.isSilent(nowMs)) {
      const seconds = Math.round(this.#onAir.silenceLimitMs / 1000);
      return this.#onLost(
        new RoomcastError("FailedOperation.SourceTimeout", `The source gave no media for ${seconds} s.`),
        { nowMs, stage },
      );
    }
    if (!this.#hasIncoming && this.#onAir.isNearEnd(this.#progress.positionMs)) {
      const { next } = this.#progress;
      if (next.name === "item") this.#openNext(next.place);
    }
    return undefined;
  }

  #onDrained(source: Source, nowMs: number, stage: Stage): PlayerEnd | undefined {
    // The gap is filled until the incoming source is ready.
    if (this.#hasIncoming) return undefined;
    const { end } = source;
    if (end?.name === "failed") return this.#onLost(end.error, { nowMs, stage });
    this.#progress.positionMs = source.info.durationMs ?? this.#progress.positionMs;
    const { next } = this.#progress;
    if (next.name !== "item") return next;
    this.#openNext(next.place);
    return undefined;
  }

  /**
   * Handles the loss of the current source. The room sees its last picture while the player waits for the source to
   * come back.
   */
  #onLost(error: RoomcastError, { nowMs, stage }: At): PlayerEnd | undefined {
    const { live } = this;
    const place = this.#progress.place;
    const programme = this.#progress.programme;
    const change = { role: "return", place, startAtMs: live ? 0 : this.#progress.positionMs } as const;
    const policy = retryPolicyFor(error, { live, history: "brokeOff" });
    const { workedForMs } = this.#onAir;
    const final = this.#retries.failed({ change, error, policy, nowMs, workedForMs });
    stage.timeline.clear();
    this.#onAir.takeOff();
    if (this.#incomingSources.current?.role === "next") void this.#incomingSources.discard();
    if (final !== undefined) return this.#giveUp({ place, programme, error: final }, { nowMs, stage });
    this.#options.log.warn({ err: error, item: place.item }, "the source is gone; waiting for it");
    this.#setState("reconnecting");
    return undefined;
  }

  /** Gives up an item: opens the next one or ends the programme. */
  #giveUp(item: FailedItem, { stage }: At): PlayerEnd | undefined {
    this.#retries.reset();
    const next = this.#progress.giveUp(item, this.#onAir.source === undefined);
    if (next.name === "item") this.#openNext(next.place);
    // The programme ends only when the timeline is drained, so that the failure of the next item does not cut off the
    // current source.
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

  #pausePlayback(nowMs: number): void {
    this.#pause.begin(nowMs, this.#state !== "paused");
    this.#incomingSources.forgetPause();
    // A pause that is requested before the first picture applies from that picture on.
    if (this.#stage === undefined) return;
    this.#stage.timeline.pause();
    this.#setState("paused");
  }

  #resumePlayback(nowMs: number): void {
    this.#incomingSources.forgetPause();
    if (!this.#pause.active) return;
    this.#pause.end();
    if (this.#stage === undefined) return;
    this.#stage.timeline.resume();
    this.#retries.tryNow();
    if (this.#onAir.source !== undefined) {
      this.#onAir.restartSilence(nowMs);
      this.#setState("pushing");
    } else if (this.#hasIncoming) {
      this.#setState("reconnecting");
    } else {
      this.#open({
        role: "return",
        place: this.#progress.place,
        startAtMs: this.live ? 0 : this.#progress.positionMs,
      });
    }
  }

  #openNext(place: ProgrammePlace): void {
    this.#open({ role: "next", place, startAtMs: 0 });
  }

  #open(
    { role, place, startAtMs, programme = this.#progress.programme }: SourceChange,
    { asked, pauses }: Partial<Pick<IncomingSource, "asked" | "pauses">> = {},
  ): void {
    // Before the first picture nothing is playing, so the requested source becomes the start.
    const asRole = this.#onAir.hasBegun ? role : "start";
    const request = {
      ...this.#requestFor(programme.items[place.item] ?? "", startAtMs),
      ...(asRole === "return" ? { returns: true } : {}),
    };
    this.#incomingSources.open(request, {
      role: asRole,
      place,
      roomPositionMs: this.#progress.positionMs,
      programme,
      asked,
      pauses,
    });
  }

  #preload(urls: readonly string[]): void {
    this.#preloaded = urls;
    // Preloaded sources must match the session's format, which the first source sets.
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
