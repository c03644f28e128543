import { SilenceWatch } from "../base/silence-watch.ts";
import type { Source, SourceInfo } from "../source/source.ts";
import type { PlayerLimits } from "./player-options.ts";
import type { ClosingSources } from "./prepared-source.ts";

/** The remaining duration of a recorded source at which the next item is opened, ms. */
const NEAR_END_MS = 4_000;
/** The time after which an item counts as playable, ms. */
const SEEN_WELL_MS = 5_000;

/**
 * The time that the player waits beyond the limit of a source that sets its own (`patienceMs`), ms. The source then
 * fails first and names the cause.
 */
const LATE_END_MS = 5_000;

/**
 * The source that the room sees, with the times at which it began, moved and fell silent. This class does not read a
 * clock: the time is an argument.
 */
export class SourceOnAir {
  readonly #limits: PlayerLimits;
  readonly #closings: ClosingSources;
  #source: Source | undefined;
  #info: SourceInfo | undefined;
  #silence: SilenceWatch | undefined;
  #sinceMs: number | undefined;
  /** The times at which the source went on the air and its last picture was sent. */
  #cutAtMs = 0;
  #movedAtMs = 0;
  /** The time at which the item was first shown; undefined once the item was reported as playing well. */
  #itemSinceMs: number | undefined;

  constructor(limits: PlayerLimits, closings: ClosingSources) {
    this.#limits = limits;
    this.#closings = closings;
  }

  get source(): Source | undefined {
    return this.#source;
  }

  /** The info of the source that is, or was last, on the air. */
  get info(): SourceInfo | undefined {
    return this.#info;
  }

  /** True once a source has been on the air. */
  get hasBegun(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** The time for which the source has delivered pictures, ms. */
  get workedForMs(): number {
    return this.#movedAtMs - this.#cutAtMs;
  }

  /** @returns the previous source, which the caller must close after the cut */
  put(source: Source, nowMs: number): Source | undefined {
    const before = this.#source;
    this.#source = source;
    this.#info = source.info;
    this.#sinceMs ??= nowMs;
    this.#cutAtMs = nowMs;
    this.#movedAtMs = nowMs;
    this.restartSilence(nowMs);
    return before;
  }

  /** Records that the source is another item, not the previous item opened again. */
  beginItem(nowMs: number): void {
    this.#itemSinceMs = nowMs;
  }

  /** Returns true once per item, when it has played for long enough or to its end. */
  becomesWell(): boolean {
    if (this.#itemSinceMs === undefined) return false;
    const isWell = this.#movedAtMs - this.#itemSinceMs >= SEEN_WELL_MS || this.#source?.end?.name === "finished";
    if (isWell) this.#itemSinceMs = undefined;
    return isWell;
  }

  /** Records that a picture of the source was sent. */
  moved(nowMs: number): void {
    this.#movedAtMs = nowMs;
  }

  /** The time without media after which the source counts as lost, ms. */
  get silenceLimitMs(): number {
    const ownMs = (this.#info?.patienceMs ?? Number.NEGATIVE_INFINITY) + LATE_END_MS;
    return Math.max(this.#limits.sourceSilenceMs, ownMs);
  }

  /** Starts measuring the source's silence from now. */
  restartSilence(nowMs: number): void {
    this.#silence = new SilenceWatch(nowMs, this.silenceLimitMs);
  }

  /** Returns true if the source has delivered nothing for too long. */
  isSilent(nowMs: number): boolean {
    const heard = this.#source?.peek() !== undefined || this.#source?.end !== undefined;
    return this.#silence?.look(nowMs, heard) === true;
  }

  isNearEnd(positionMs: number): boolean {
    if (this.#source === undefined || this.#source.info.live) return false;
    const { durationMs } = this.#source.info;
    // A source that has failed has no next item yet: its error decides what follows.
    if (this.#source.end !== undefined) return this.#source.end.name === "finished";
    return durationMs !== null && durationMs - positionMs < NEAR_END_MS;
  }

  /** Returns true if the task has been on the air for its maximum duration. */
  isOver(nowMs: number): boolean {
    return this.#sinceMs !== undefined && nowMs - this.#sinceMs > this.#limits.longestPlayMs;
  }

  /** Closes the source. `info` still describes it as the last source on the air. */
  closeSource(): void {
    if (this.#source !== undefined) this.#closings.add(this.#source.close());
  }

  /** Closes and removes the source. It can be opened again later. */
  takeOff(): void {
    this.closeSource();
    this.#source = undefined;
  }
}
