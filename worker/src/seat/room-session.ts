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

/** What rooms carry, frames per second. */
const HIGHEST_FPS = 30;

interface EnteredTask {
  readonly options: SessionTaskOptions;
  readonly player: Player;
  readonly done: PromiseWithResolvers<RoomOutcome>;
  stopped: "now" | "tidy" | undefined;
  /** The edge's last word that its task holds the seat. */
  confirmation: Confirmation | undefined;
}

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
  #active: EnteredTask | undefined;
  #coming: EnteredTask | undefined;
  #connection: RoomConnection | undefined;
  /** How the last task ended, until it is told. */
  #outcome: RoomOutcome | undefined;
  #running: Promise<void> | undefined;
  /** Ends a wait, for the room or for the edge, when the last task is stopped meanwhile. */
  #wake = new AbortController();
  /** The edge's word is waited for: what ends a connection meanwhile is not the room's refusal. */
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

  /** True when no task is in the room, and none will be through this session any more. */
  get ended(): boolean {
    return this.#running !== undefined && this.#active === undefined;
  }

  /** Lets a task in: at once, or as the successor of the one that is there. Not after `ended`. */
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
      if (this.#coming !== undefined) this.#dismiss(this.#coming, replacedBy(task));
      this.#coming = task;
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

  /** Enters the room and plays until it is lost or nobody is left; nothing of the connection is left then. */
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
      // Before the room is dialled, which would not wait for long; as the source opens, it takes no time of its own.
      await this.#untilConfirmed(signal);
      this.#connection = new RoomConnection({
        publisher: task.options.createPublisher(),
        ticker: this.#ticker,
        rates: this.#rates,
        stallMs: task.options.roomLimits.roomStallMs,
        // And again: to get so far may have taken long, or the process was frozen.
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
      // Stopped while the edge's word was waited for.
      if (signal.aborted) return this.#connect();
      return { name: "lost", error: RoomcastError.from(thrown) };
    } finally {
      const connection = this.#connection;
      this.#connection = undefined;
      await connection?.close();
    }
  }

  /** Whoever is to play now: the edge has confirmed, just now, that his task holds the seat. */
  async #untilConfirmed(signal: AbortSignal): Promise<void> {
    for (;;) {
      const task = this.#active;
      if (task === undefined || task.confirmation?.holds() === true) return;
      this.#unconfirmed = true;
      task.confirmation = await task.options.untilConfirmed(signal);
      this.#unconfirmed = false;
    }
  }

  /** While the room is being entered: a source that cannot be opened, or a stop, ends it; true: nobody is left. */
  #giveUpEarly(): boolean {
    const task = this.#active;
    if (task === undefined) return false;
    if (task.stopped !== undefined) return this.#endActive({ name: "aborted", reason: "" });
    const error = task.player.prepared?.error ?? null;
    return error !== null && this.#endActive({ name: "failed", error });
  }

  /** Moves the successor and the active task on; true: nobody is left. */
  #tickTasks(nowMs: number): boolean {
    this.#attendComing(nowMs);
    const task = this.#active;
    if (task === undefined) return true;
    if (task.stopped !== undefined) return this.#endActive({ name: "aborted", reason: "" });
    const end = task.player.tick(nowMs, this.#stage);
    return end !== undefined && this.#endActive(end);
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

  /** The active task is over: a successor that is still on its way keeps the room, else (true) the room is left. */
  #endActive(end: PlayerEnd): boolean {
    const task = this.#active;
    const coming = this.#coming;
    if (task !== undefined && coming !== undefined && coming.stopped === undefined) {
      this.#active = coming;
      this.#coming = undefined;
      this.#stage.timeline.clear();
      this.#dismiss(task, end);
      return false;
    }
    this.#outcome = end;
    return true;
  }

  /** The last task's end is told only after the room was left. True: another one came meanwhile, and is active now. */
  async #settleLast(): Promise<boolean> {
    const last = this.#active;
    const next = this.#coming;
    const outcome = this.#outcome ?? { name: "aborted", reason: "" };
    this.#active = next;
    this.#coming = undefined;
    this.#outcome = undefined;
    this.#stage.timeline.leave();
    if (last !== undefined) {
      await last.player.close();
      last.done.resolve(outcome);
    }
    return next !== undefined;
  }

  #dismissAll(outcome: RoomOutcome): void {
    for (const task of [this.#coming, this.#active]) if (task !== undefined) this.#dismiss(task, outcome);
    this.#active = undefined;
    this.#coming = undefined;
  }

  #dismiss(task: EnteredTask, outcome: RoomOutcome): void {
    void task.player.close().then(() => task.done.resolve(outcome));
  }

  async #change(task: EnteredTask, update: TaskUpdate): Promise<void> {
    // One that has left must not touch what another one plays on.
    if (task !== this.#active && task !== this.#coming) {
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
   * The first picture is shown at once. What follows pictures waits for the tick as they do: shown between two ticks, it
   * would be further from the next picture than any two others are.
   */
  #onSourceReady(): void {
    if (this.#format === undefined) this.#attendNow();
  }

  #attendNow(): void {
    this.#connection?.attendNow();
  }

  /** Before the room is entered again. Ends early when the task is stopped, which the next try sees. */
  async #pause(task: EnteredTask, delayMs: number): Promise<void> {
    const { signal } = (this.#wake = new AbortController());
    if (task.stopped !== undefined) return;
    try {
      await sleep(delayMs, undefined, { signal });
      // The edge may be away for long, and the source need not be open all the time.
      await this.#untilConfirmed(signal);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  /** The first source fixes what the session sends; undefined: it is not there yet. */
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
