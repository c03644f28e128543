import { setTimeout as sleep } from "node:timers/promises";
import { RoomcastError, type TaskUpdate } from "@roomcast/shared";
import type { Backoff } from "../base/backoff.ts";
import type { Confirmation } from "../link/confirmations.ts";
import { Player, type Stage } from "../player/player.ts";
import type { PlayerEnd } from "../player/player-options.ts";
import type { SessionFormat } from "../player/prepared-source.ts";
import type { SourceInfo } from "../source/source.ts";
import { StreamFiller } from "../timeline/filler/stream-filler.ts";
import { processTicker, type Ticker } from "../timeline/ticker.ts";
import { Timeline } from "../timeline/timeline.ts";
import { RateMeter } from "./rate-meter.ts";
import { mayReconnect, reconnectBackoff } from "./reconnect-policy.ts";
import { type ConnectionEnd, RoomConnection } from "./room-connection.ts";
import type { RoomOutcome, RoomSnapshot, SessionTask, SessionTaskOptions } from "./session-task.ts";

/** The highest frame rate that rooms support, fps. */
const HIGHEST_FPS = 30;

interface EnteredTask {
  readonly options: SessionTaskOptions;
  readonly player: Player;
  readonly done: PromiseWithResolvers<RoomOutcome>;
  stopped: "now" | "tidy" | undefined;
  /** The edge's last confirmation that this task holds the seat. */
  confirmation: Confirmation | undefined;
}

/**
 * `next` means that a task came while the room was being left. The session then enters the room again for that task.
 */
type RunEnd = ConnectionEnd | { readonly name: "next" };

/**
 * The session of one seat: a connection to the room, a continuous output clock, and the task that plays. A second task
 * that enters takes over the seat when its source is ready. If the second task's source fails, the first task continues
 * to play. The session ends with its last task.
 */
export class RoomSession {
  readonly #ticker: Ticker;
  readonly #stage: Stage;
  readonly #rates = new RateMeter(performance.now());
  /** The format of the session; set by the first source. */
  #format: SessionFormat | undefined;
  #active: EnteredTask | undefined;
  #successor: EnteredTask | undefined;
  #connection: RoomConnection | undefined;
  /** The outcome of the last task, until its `done` is resolved. */
  #outcome: RoomOutcome | undefined;
  #running: Promise<void> | undefined;
  /** Ends a wait for the room or for the edge when the active task is stopped. */
  #wake = new AbortController();
  /**
   * True while the edge's confirmation is awaited. If a connection ends during that time, the room has not refused it.
   */
  #unconfirmed = false;

  constructor(ticker: Ticker = processTicker) {
    this.#ticker = ticker;
    this.#stage = {
      timeline: new Timeline(new StreamFiller()),
      sink: {
        send: (media, tag) => {
          this.#connection?.send(media, media.kind === "video" && tag?.sequenceHeader !== true);
        },
      },
    };
  }

  /** True if the session has ended. An ended session accepts no further tasks. */
  get ended(): boolean {
    return this.#running !== undefined && this.#active === undefined;
  }

  /** Enters a task, either at once or as the successor of the active one. Must not be called when `ended` is true. */
  enter(options: SessionTaskOptions): SessionTask {
    const player = new Player({
      ...options,
      format: () => this.#format,
      onReady: () => queueMicrotask(() => this.#onSourceReady()),
    });
    const task: EnteredTask = {
      options,
      player,
      done: Promise.withResolvers(),
      stopped: undefined,
      confirmation: undefined,
    };
    if (this.#active === undefined) {
      this.#active = task;
      this.#running = this.#run();
    } else {
      if (this.#successor !== undefined) this.#dismiss(this.#successor, replacedBy(task));
      this.#successor = task;
      player.prepare();
    }
    return {
      done: task.done.promise,
      snapshot: () => this.#snapshotOf(task),
      stop: (how) => this.#stop(task, how),
      holds: () => player.holds,
      change: (update) => this.#change(task, update),
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
      const task = this.#active;
      if (end.name === "empty" || task === undefined) return;
      if (task.stopped !== undefined) continue;
      const wasOnAir = task.player.state !== "starting";
      this.#stage.timeline.leave();
      await task.player.suspend();
      const nowMs = performance.now();
      const { returnBudgetMs } = task.options.roomLimits;
      backoff ??= reconnectBackoff(returnBudgetMs);
      const mayReturn = (wasOnAir || this.#unconfirmed) && mayReconnect(end.error);
      const delayMs = mayReturn ? backoff.failed(nowMs, nowMs - connectedAtMs) : undefined;
      if (delayMs === undefined) {
        this.#dismissAll({ name: "failed", error: end.error });
        return;
      }
      task.options.log.warn({ err: end.error, delayMs: Math.round(delayMs) }, "the room is lost; entering it again");
      await this.#pause(task, delayMs);
    }
  }

  /** Enters the room and plays until it is lost or no task is left. The connection is closed when this resolves. */
  async #runOnce(): Promise<RunEnd> {
    const end = await this.#connect();
    if (end.name === "empty" && (await this.#settleLast())) return { name: "next" };
    return end;
  }

  async #connect(): Promise<ConnectionEnd> {
    while (this.#active?.stopped !== undefined) {
      if (this.#endActive({ name: "aborted", reason: "" })) return { name: "empty" };
    }
    const task = this.#active;
    if (task === undefined) return { name: "empty" };
    const { signal } = (this.#wake = new AbortController());
    this.#unconfirmed = false;
    try {
      task.player.prepare();
      // The edge confirms before the room is dialled, because the room would not wait for long. The source opens
      // at the same time, so this costs no extra time.
      await this.#untilConfirmed(signal);
      this.#connection = new RoomConnection({
        publisher: task.options.createPublisher(),
        ticker: this.#ticker,
        rates: this.#rates,
        stallMs: task.options.roomLimits.roomStallMs,
        // The edge confirms again, because dialling may have taken long or the process may have been frozen.
        mayPublish: () => this.#untilConfirmed(signal),
        occupants: {
          giveUp: () => this.#giveUpEarly(),
          tick: (nowMs) => this.#tickTasks(nowMs),
          dropWaiting: () => this.#active?.player.dropWaiting(),
          picture: () => this.#fixFormat(),
          hurry: () => this.#active?.stopped === "now",
        },
      });
      return await this.#connection.run();
    } catch (thrown) {
      // If the signal is aborted, the task was stopped while the edge's confirmation was awaited.
      if (signal.aborted) return this.#connect();
      return { name: "lost", error: RoomcastError.from(thrown) };
    } finally {
      const connection = this.#connection;
      this.#connection = undefined;
      await connection?.close();
    }
  }

  /** Resolves when the edge's confirmation that the active task holds the seat is fresh. */
  async #untilConfirmed(signal: AbortSignal): Promise<void> {
    for (;;) {
      const task = this.#active;
      if (task === undefined || task.confirmation?.holds() === true) return;
      this.#unconfirmed = true;
      task.confirmation = await task.options.untilConfirmed(signal);
      this.#unconfirmed = false;
    }
  }

  /**
   * Ends the active task while the room is being entered, if its source has failed or it was stopped. Returns true if
   * no task is left.
   */
  #giveUpEarly(): boolean {
    const task = this.#active;
    if (task === undefined) return false;
    if (task.stopped !== undefined) return this.#endActive({ name: "aborted", reason: "" });
    const error = task.player.prepared?.error ?? null;
    return error !== null && this.#endActive({ name: "failed", error });
  }

  /** Advances the successor and the active task. Returns true if no task is left. */
  #tickTasks(nowMs: number): boolean {
    this.#checkSuccessor(nowMs);
    const task = this.#active;
    if (task === undefined) return true;
    if (task.stopped !== undefined) return this.#endActive({ name: "aborted", reason: "" });
    const end = task.player.tick(nowMs, this.#stage);
    return end !== undefined && this.#endActive(end);
  }

  #checkSuccessor(nowMs: number): void {
    const successor = this.#successor;
    if (successor === undefined) return;
    const prepared = successor.player.prepared;
    if (successor.stopped !== undefined) {
      this.#successor = undefined;
      this.#dismiss(successor, { name: "aborted", reason: "" });
    } else if (prepared?.error != null) {
      this.#successor = undefined;
      this.#dismiss(successor, { name: "failed", error: prepared.error });
    } else if (prepared !== undefined && nowMs >= (successor.options.notBeforeMs ?? nowMs)) {
      const before = this.#active;
      this.#active = successor;
      this.#successor = undefined;
      // The successor's first tick makes the cut within this tick. Then its predecessor can be closed.
      if (before !== undefined) queueMicrotask(() => this.#dismiss(before, replacedBy(successor)));
    }
  }

  /** Ends the active task. A successor keeps the room. Without a successor this returns true, and the room is left. */
  #endActive(end: PlayerEnd): boolean {
    const task = this.#active;
    const successor = this.#successor;
    if (task !== undefined && successor !== undefined && successor.stopped === undefined) {
      this.#active = successor;
      this.#successor = undefined;
      this.#stage.timeline.clear();
      this.#dismiss(task, end);
      return false;
    }
    this.#outcome = end;
    return true;
  }

  /**
   * Reports the end of the last task after the room was left. Returns true if another task came meanwhile; that task is
   * now the active one.
   */
  async #settleLast(): Promise<boolean> {
    const last = this.#active;
    const next = this.#successor;
    const outcome = this.#outcome ?? { name: "aborted", reason: "" };
    this.#active = next;
    this.#successor = undefined;
    this.#outcome = undefined;
    this.#stage.timeline.leave();
    if (last !== undefined) {
      await last.player.close();
      last.done.resolve(outcome);
    }
    return next !== undefined;
  }

  #dismissAll(outcome: RoomOutcome): void {
    for (const task of [this.#successor, this.#active]) if (task !== undefined) this.#dismiss(task, outcome);
    this.#active = undefined;
    this.#successor = undefined;
  }

  #dismiss(task: EnteredTask, outcome: RoomOutcome): void {
    void task.player.close().then(() => task.done.resolve(outcome));
  }

  async #change(task: EnteredTask, update: TaskUpdate): Promise<void> {
    // A task that has left must not change the timeline that another one plays on.
    if (task !== this.#active && task !== this.#successor) {
      throw new RoomcastError("ResourceUnavailable.TaskEnded", "The task has left its room.");
    }
    await task.player.change(update, performance.now());
  }

  #stop(task: EnteredTask, how: "now" | "tidy"): void {
    if (task.stopped !== "now") task.stopped = how;
    if (task === this.#active) this.#wake.abort();
    this.#attendNow();
  }

  /**
   * Shows the first picture at once. A later source waits for the tick, as all pictures do. If its first picture were
   * shown between two ticks, the distance to the next picture would be larger than usual.
   */
  #onSourceReady(): void {
    if (this.#format === undefined) this.#attendNow();
  }

  #attendNow(): void {
    this.#connection?.attendNow();
  }

  /**
   * Waits before the room is entered again. The wait ends early when the task is stopped; the next attempt checks for
   * this.
   */
  async #pause(task: EnteredTask, delayMs: number): Promise<void> {
    const { signal } = (this.#wake = new AbortController());
    if (task.stopped !== undefined) return;
    try {
      await sleep(delayMs, undefined, { signal });
      // The confirmation is awaited here, before the source is opened, because the edge may be unreachable for long.
      await this.#untilConfirmed(signal);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  /** Sets the session's format from the first source. Returns undefined if that source is not open yet. */
  #fixFormat(): Pick<SourceInfo, "width" | "height" | "fps"> | undefined {
    const info = this.#active?.player.info;
    if (info === undefined) return undefined;
    const { width, height, fps, audioFormat } = info;
    this.#format ??= { canvas: { width, height, fps: fps ?? HIGHEST_FPS }, audioFormat };
    return { width, height, fps };
  }

  #snapshotOf(task: EnteredTask): RoomSnapshot {
    const { player } = task;
    const active = task === this.#active;
    return {
      state: player.state,
      item: player.item,
      positionMs: Math.max(0, Math.round(player.positionMs)),
      durationMs: player.durationMs,
      bitRateKbps: active ? this.#rates.bitRateKbps : 0,
      fps: active ? this.#rates.fps : 0,
      droppedFrames: active ? this.#stage.timeline.droppedFrames : 0,
      plan: player.plan,
      ...(player.skipped === undefined ? {} : { skipped: player.skipped }),
    };
  }
}

function replacedBy({ options }: EnteredTask): RoomOutcome {
  return { name: "replaced", byTaskId: options.taskId };
}
