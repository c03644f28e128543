import { setTimeout as sleep } from "node:timers/promises";
import { type ActiveStateName, type PlanSummary, RoomcastError, type TaskUpdate } from "@roomcast/shared";
import { Backoff } from "../backoff.ts";
import type { Publisher } from "../publisher/publisher.ts";
import { StreamFiller } from "../timeline/filler/stream-filler.ts";
import { processTicker, type Ticker } from "../timeline/ticker.ts";
import { Timeline } from "../timeline/timeline.ts";
import { Player, type PlayerEnd, type PlayerOptions, type Stage } from "./player.ts";
import type { SessionFormat } from "./prepared-source.ts";
import { RateMeter } from "./rate-meter.ts";
import { mayEnterAgain } from "./reconnect-policy.ts";
import { SilenceWatch } from "./silence-watch.ts";

/** How a task's stay in the room ended. */
export type RoomOutcome =
  | PlayerEnd
  /** Another task has taken the seat over; the room saw no break. */
  | { readonly name: "replaced"; readonly byTaskId: string };

export interface RoomSnapshot {
  readonly state: ActiveStateName;
  /** Which source of the playlist, from 0. */
  readonly item: number;
  /** Position in that source of what the room was sent last, ms. */
  readonly positionMs: number;
  /** null: live, or not known. */
  readonly durationMs: number | null;
  readonly bitRateKbps: number;
  readonly fps: number;
  readonly droppedFrames: number;
  /** null until the source is open. */
  readonly plan: PlanSummary | null;
}

export interface RoomLimits {
  /** A room that takes nothing for this long is lost, ms. */
  readonly roomStallMs: number;
  /** How long a room that is lost is tried to enter again, ms. */
  readonly returnBudgetMs: number;
}

/** What a task needs to play in a room. */
export interface StayOptions extends Omit<PlayerOptions, "onReady" | "format"> {
  readonly taskId: string;
  readonly createPublisher: () => Publisher;
  /**
   * Resolves when the room may be entered again after it was lost: not before the edge has confirmed that this task
   * still holds the seat, so that two workers never fight over it.
   */
  readonly untilMayEnterAgain: (signal: AbortSignal) => Promise<void>;
  readonly roomLimits: RoomLimits;
}

/** One task's stay in the room. */
export interface RoomStay {
  /** Resolves when nothing of the stay is left; never rejects. */
  readonly done: Promise<RoomOutcome>;
  snapshot(): RoomSnapshot;
  /** Ends the stay with `aborted`: `now` drops what is queued, `tidy` sends it and leaves the room properly. */
  stop(how: "now" | "tidy"): void;
  /**
   * Changes what is played. Resolves when the room sees it.
   *
   * @throws RoomcastError; then all is as it was.
   */
  change(update: TaskUpdate): Promise<void>;
}

/** What rooms carry, frames per second. */
const HIGHEST_FPS = 30;
/** More than this not yet taken by the network: the source is held back, bytes. */
const HOLD_BYTES = 1024 * 1024;
/** Held back for longer than this, a live source is dropped up to its next keyframe, ms. */
const LIVE_HOLD_MS = 1_000;
/** A tidy end waits at most this long for the network to take the rest, ms. */
const FLUSH_MS = 3_000;

interface Stay {
  readonly options: StayOptions;
  readonly player: Player;
  readonly done: PromiseWithResolvers<RoomOutcome>;
  stopped: "now" | "tidy" | undefined;
}

/** How one connection to the room ended. */
type ConnectionEnd = { readonly name: "empty" } | { readonly name: "lost"; readonly error: RoomcastError };
/** `next`: the room was left, and a task came while it was: it enters the room anew. */
type RunEnd = ConnectionEnd | { readonly name: "next" };

/**
 * One seat: a connection to the room and one continuous clock, and the task that plays on it. A second task that enters
 * takes the seat over when its source is ready; if that fails, the first plays on. The session ends with its last task.
 */
export class RoomSession {
  readonly #ticker: Ticker;
  readonly #stage: Stage;
  readonly #rates = new RateMeter(performance.now());
  /** Fixed by the first source. */
  #format: SessionFormat | undefined;
  #active: Stay | undefined;
  #coming: Stay | undefined;
  #publisher: Publisher | undefined;
  /** How the last task ended, until it is told. */
  #outcome: RoomOutcome | undefined;
  #running: Promise<void> | undefined;
  /** Ends a wait for the room when the last task is stopped meanwhile. */
  #wake = new AbortController();
  #connection: { readonly end: (end: ConnectionEnd) => void; readonly tick: (nowMs: number) => void } | undefined;

  constructor(ticker: Ticker = processTicker) {
    this.#ticker = ticker;
    this.#stage = {
      timeline: new Timeline(new StreamFiller()),
      sink: {
        send: (media, tag) => {
          this.#publisher?.send(media);
          this.#rates.add(media.payload.length, media.kind === "video" && tag?.sequenceHeader !== true ? 1 : 0);
        },
      },
    };
  }

  /** True when no task is in the room, and none will be through this session any more. */
  get ended(): boolean {
    return this.#running !== undefined && this.#active === undefined;
  }

  /** Lets a task in: at once, or as the successor of the one that is there. Not after `ended`. */
  enter(options: StayOptions): RoomStay {
    const player = new Player({
      ...options,
      format: () => this.#format,
      onReady: () => queueMicrotask(() => this.#onSourceReady()),
    });
    const stay: Stay = { options, player, done: Promise.withResolvers(), stopped: undefined };
    if (this.#active === undefined) {
      this.#active = stay;
      this.#running = this.#run();
    } else {
      if (this.#coming !== undefined) this.#dismiss(this.#coming, replacedBy(stay));
      this.#coming = stay;
      player.prepare();
    }
    return {
      done: stay.done.promise,
      snapshot: () => this.#snapshotOf(stay),
      stop: (how) => this.#stop(stay, how),
      change: (update) => player.change(update, performance.now(), this.#stage),
    };
  }

  async #run(): Promise<void> {
    let backoff: Backoff | undefined;
    for (;;) {
      const connectedAtMs = performance.now();
      const end = await this.#runOnce();
      if (end.name === "next") {
        backoff = undefined;
        continue;
      }
      const stay = this.#active;
      if (end.name === "empty" || stay === undefined) return;
      const wasOnAir = stay.player.state !== "starting";
      await stay.player.suspend(this.#stage);
      const nowMs = performance.now();
      const { returnBudgetMs } = stay.options.roomLimits;
      backoff ??= new Backoff({ initialMs: 500, maxMs: 5_000, budgetMs: returnBudgetMs, healthyAfterMs: 10_000 });
      const delayMs = wasOnAir && mayEnterAgain(end.error) ? backoff.failed(nowMs, nowMs - connectedAtMs) : undefined;
      if (delayMs === undefined) {
        this.#dismissAll({ name: "failed", error: end.error });
        return;
      }
      stay.options.log.warn({ err: end.error, delayMs: Math.round(delayMs) }, "the room is lost; entering it again");
      await this.#untilMayEnterAgain(stay, delayMs);
    }
  }

  /** Enters the room and plays until it is lost or nobody is left; the publisher is gone when this resolves. */
  async #runOnce(): Promise<RunEnd> {
    let end: ConnectionEnd;
    try {
      end = (await this.#enterRoom()) ?? (await this.#play());
    } catch (thrown) {
      end = { name: "lost", error: RoomcastError.from(thrown) };
    }
    const publisher = this.#publisher;
    this.#publisher = undefined;
    await publisher?.stop();
    if (end.name === "empty" && (await this.#settleLast())) return { name: "next" };
    return end;
  }

  /** The room and the first source are dialled at the same time; when one fails, the other is not waited for. */
  async #enterRoom(): Promise<ConnectionEnd | undefined> {
    while (this.#active?.stopped !== undefined) {
      const end = this.#endActive({ name: "aborted", reason: "" });
      if (end !== undefined) return end;
    }
    const stay = this.#active;
    if (stay === undefined) return { name: "empty" };
    stay.player.prepare();
    const publisher = stay.options.createPublisher();
    const gaveUp = Promise.withResolvers<ConnectionEnd>();
    this.#connection = { end: gaveUp.resolve, tick: () => this.#giveUpEarly() };
    const entered = publisher.start().then(
      () => undefined,
      (thrown: unknown) => ({ name: "lost", error: RoomcastError.from(thrown) }) as const,
    );
    const removeTick = this.#ticker.add(() => this.#giveUpEarly());
    this.#giveUpEarly();
    const end = await Promise.race([entered, gaveUp.promise]);
    removeTick();
    this.#connection = undefined;
    if (end === undefined) {
      this.#publisher = publisher;
      return undefined;
    }
    await publisher.stop();
    return end;
  }

  /** While the room is being entered: a source that cannot be opened, or a stop, ends it. */
  #giveUpEarly(): void {
    const stay = this.#active;
    if (stay === undefined) return;
    const error = stay.player.prepared?.error ?? null;
    const end =
      stay.stopped === undefined
        ? error === null
          ? undefined
          : this.#endActive({ name: "failed", error })
        : this.#endActive({ name: "aborted", reason: "" });
    if (end !== undefined) this.#connection?.end(end);
  }

  #play(): Promise<ConnectionEnd> {
    const publisher = this.#publisher;
    if (publisher === undefined) return Promise.resolve({ name: "empty" });
    const over = Promise.withResolvers<ConnectionEnd>();
    publisher.onEnded = (error) => over.resolve({ name: "lost", error });
    const startedMs = performance.now();
    const stalled = new SilenceWatch(startedMs, this.#active?.options.roomLimits.roomStallMs ?? 0);
    const held = new SilenceWatch(startedMs, LIVE_HOLD_MS);
    let sentBytes = 0;
    let told = false;
    const tick = (nowMs: number): void => {
      this.#rates.roll(nowMs);
      const holds = publisher.queuedBytes > HOLD_BYTES;
      if (stalled.look(nowMs, !holds || publisher.sentBytes !== sentBytes)) {
        over.resolve({ name: "lost", error: roomStalled(this.#active) });
        return;
      }
      sentBytes = publisher.sentBytes;
      if (held.look(nowMs, !holds)) this.#active?.player.dropWaiting(this.#stage);
      if (holds) return;
      if (!told) told = this.#tellFormat(publisher);
      const end = this.#tickTasks(nowMs);
      if (end !== undefined) over.resolve(end);
    };
    this.#connection = { end: over.resolve, tick };
    const removeTick = this.#ticker.add(tick);
    tick(startedMs);
    return over.promise.then(async (end) => {
      removeTick();
      this.#connection = undefined;
      if (end.name === "empty" && this.#active?.stopped !== "now") await this.#flush(publisher);
      publisher.onEnded = undefined;
      return end;
    });
  }

  /** Moves the successor and the active task on; answers when nobody is left. */
  #tickTasks(nowMs: number): ConnectionEnd | undefined {
    this.#attendComing(nowMs);
    const stay = this.#active;
    if (stay === undefined) return { name: "empty" };
    if (stay.stopped !== undefined) return this.#endActive({ name: "aborted", reason: "" });
    const end = stay.player.tick(nowMs, this.#stage);
    return end === undefined ? undefined : this.#endActive(end);
  }

  #attendComing(nowMs: number): void {
    const coming = this.#coming;
    if (coming === undefined) return;
    const prepared = coming.player.prepared;
    if (coming.stopped !== undefined) {
      this.#coming = undefined;
      this.#dismiss(coming, { name: "aborted", reason: "" });
    } else if (prepared?.error != null) {
      this.#coming = undefined;
      this.#dismiss(coming, { name: "failed", error: prepared.error });
    } else if (prepared !== undefined && nowMs >= (coming.options.notBeforeMs ?? nowMs)) {
      const before = this.#active;
      this.#active = coming;
      this.#coming = undefined;
      // The successor's first tick makes the cut, in this very turn; then its predecessor can go.
      if (before !== undefined) queueMicrotask(() => this.#dismiss(before, replacedBy(coming)));
    }
  }

  /** The active task is over: a successor that is still on its way keeps the room, else the room is left. */
  #endActive(end: PlayerEnd): ConnectionEnd | undefined {
    const stay = this.#active;
    const coming = this.#coming;
    if (stay !== undefined && coming !== undefined && coming.stopped === undefined) {
      this.#active = coming;
      this.#coming = undefined;
      this.#stage.timeline.clear();
      this.#dismiss(stay, end);
      return undefined;
    }
    this.#outcome = end;
    return { name: "empty" };
  }

  /** The last task's end is told only after the room was left. True: another one came meanwhile, and is active now. */
  async #settleLast(): Promise<boolean> {
    const last = this.#active;
    const next = this.#coming;
    const outcome = this.#outcome ?? { name: "aborted", reason: "" };
    this.#active = next;
    this.#coming = undefined;
    this.#outcome = undefined;
    this.#stage.timeline.clear();
    if (last !== undefined) {
      await last.player.close();
      last.done.resolve(outcome);
    }
    return next !== undefined;
  }

  #dismissAll(outcome: RoomOutcome): void {
    for (const stay of [this.#coming, this.#active]) if (stay !== undefined) this.#dismiss(stay, outcome);
    this.#active = undefined;
    this.#coming = undefined;
  }

  #dismiss(stay: Stay, outcome: RoomOutcome): void {
    void stay.player.close().then(() => stay.done.resolve(outcome));
  }

  #stop(stay: Stay, how: "now" | "tidy"): void {
    if (stay.stopped !== "now") stay.stopped = how;
    if (stay === this.#active) this.#wake.abort();
    this.#attendNow();
  }

  /**
   * The first picture is shown at once. What follows pictures waits for the tick as they do: shown between two ticks, it
   * would be further from the next picture than any two others are.
   */
  #onSourceReady(): void {
    if (this.#format === undefined) this.#attendNow();
  }

  #attendNow(): void {
    this.#connection?.tick(performance.now());
  }

  async #untilMayEnterAgain(stay: Stay, delayMs: number): Promise<void> {
    this.#wake = new AbortController();
    const { signal } = this.#wake;
    if (stay.stopped !== undefined) return;
    try {
      await sleep(delayMs, undefined, { signal });
      await stay.options.untilMayEnterAgain(signal);
    } catch (thrown) {
      // Both reject when the task is stopped meanwhile, which the next try sees.
      if (!signal.aborted) throw thrown;
    }
  }

  /** Before the first picture of a connection; @returns whether there was something to tell. */
  #tellFormat(publisher: Publisher): boolean {
    const info = this.#active?.player.info;
    if (info === undefined) return false;
    const { width, height, fps, audioFormat } = info;
    this.#format ??= { canvas: { width, height, fps: fps ?? HIGHEST_FPS }, audioFormat };
    publisher.sendMetadata({ width, height, fps });
    return true;
  }

  #snapshotOf(stay: Stay): RoomSnapshot {
    const { player } = stay;
    const active = stay === this.#active;
    return {
      state: player.state,
      item: player.item,
      positionMs: Math.max(0, Math.round(player.positionMs)),
      durationMs: player.durationMs,
      bitRateKbps: active ? this.#rates.bitRateKbps : 0,
      fps: active ? this.#rates.fps : 0,
      droppedFrames: active ? this.#stage.timeline.droppedFrames : 0,
      plan: player.plan,
    };
  }

  async #flush(publisher: Publisher): Promise<void> {
    const flushed = Promise.withResolvers<void>();
    const deadlineMs = performance.now() + FLUSH_MS;
    publisher.onEnded = () => flushed.resolve();
    const removeTick = this.#ticker.add((nowMs) => {
      if (publisher.queuedBytes === 0 || nowMs > deadlineMs) flushed.resolve();
    });
    await flushed.promise;
    removeTick();
  }
}

function replacedBy({ options }: Stay): RoomOutcome {
  return { name: "replaced", byTaskId: options.taskId };
}

function roomStalled(stay: Stay | undefined): RoomcastError {
  const seconds = (stay?.options.roomLimits.roomStallMs ?? 0) / 1000;
  return new RoomcastError(
    "FailedOperation.RoomLost",
    `The room took no media for ${seconds} s; the connection was given up.`,
  );
}
