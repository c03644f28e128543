import { SilenceWatch } from "../base/silence-watch.ts";
import type { Source, SourceInfo } from "../source/source.ts";
import type { PlayerLimits } from "./player-options.ts";
import type { ClosingSources } from "./prepared-source.ts";

/** A recorded source is near its end when so much of it is left, ms: time to open the next. */
const NEAR_END_MS = 4_000;
/** An item that was seen for so long is no bad one, ms. */
const SEEN_WELL_MS = 5_000;

/** The source that the room sees, and since when. Time comes in as an argument. */
export class SourceOnAir {
  readonly #limits: PlayerLimits;
  readonly #closings: ClosingSources;
  #source: Source | undefined;
  #info: SourceInfo | undefined;
  #silence: SilenceWatch | undefined;
  #sinceMs: number | undefined;
  /** When the source came on the air, and when it last gave a picture. */
  #cutAtMs = 0;
  #movedAtMs = 0;
  /** When its item was first seen; undefined: it has been told that the item is well. */
  #itemSinceMs: number | undefined;

  constructor(limits: PlayerLimits, closings: ClosingSources) {
    this.#limits = limits;
    this.#closings = closings;
  }

  get source(): Source | undefined {
    return this.#source;
  }

  /** Of what is, or was last, on the air. */
  get info(): SourceInfo | undefined {
    return this.#info;
  }

  /** Something is, or was, on the air. */
  get hasBegun(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** How long the source has given pictures, ms. */
  get workedForMs(): number {
    return this.#movedAtMs - this.#cutAtMs;
  }

  /** @returns the source that was on the air before; whoever calls this closes it after the cut */
  put(source: Source, nowMs: number): Source | undefined {
    const before = this.#source;
    this.#source = source;
    this.#info = source.info;
    this.#sinceMs ??= nowMs;
    this.#cutAtMs = nowMs;
    this.#movedAtMs = nowMs;
    this.listenAnew(nowMs);
    return before;
  }

  /** What is on the air is an item of its own, not the one before, opened again. */
  beginItem(nowMs: number): void {
    this.#itemSinceMs = nowMs;
  }

  /** @returns whether the item was seen for long enough, or to its end; once for each */
  becomesWell(): boolean {
    if (this.#itemSinceMs === undefined) return false;
    const isWell = this.#movedAtMs - this.#itemSinceMs >= SEEN_WELL_MS || this.#source?.end?.name === "finished";
    if (isWell) this.#itemSinceMs = undefined;
    return isWell;
  }

  /** It has given a picture. */
  moved(nowMs: number): void {
    this.#movedAtMs = nowMs;
  }

  /** Silence counts from now on. */
  listenAnew(nowMs: number): void {
    this.#silence = new SilenceWatch(nowMs, this.#limits.sourceSilenceMs);
  }

  /** Whether the source has given nothing for too long. */
  isSilent(nowMs: number): boolean {
    const heard = this.#source?.peek() !== undefined || this.#source?.end !== undefined;
    return this.#silence?.look(nowMs, heard) === true;
  }

  isNearEnd(positionMs: number): boolean {
    if (this.#source === undefined || this.#source.info.live) return false;
    const { durationMs } = this.#source.info;
    // What was cut short ends with its error; nothing comes after it.
    if (this.#source.end !== undefined) return this.#source.end.name === "finished";
    return durationMs !== null && durationMs - positionMs < NEAR_END_MS;
  }

  /** Whether all has been on the air for as long as it may. */
  isOver(nowMs: number): boolean {
    return this.#sinceMs !== undefined && nowMs - this.#sinceMs > this.#limits.longestPlayMs;
  }

  /** Closes the source, which stays what was last on the air. */
  closeSource(): void {
    if (this.#source !== undefined) this.#closings.add(this.#source.close());
  }

  /** Closes the source and forgets it, so that it is opened again. */
  takeOff(): void {
    this.closeSource();
    this.#source = undefined;
  }
}
