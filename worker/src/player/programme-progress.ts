import { type RoomcastError, type SkippedItems, shownUrl } from "@roomcast/shared";
import type { Logger } from "pino";
import { type FailedItem, FailedItems, type FailedItemVerdict, type OnItemError } from "./failed-items.ts";
import type { PlayerEnd } from "./player-options.ts";
import { type Programme, type ProgrammePlace, placeAfter } from "./programme.ts";
import type { SourceHistory } from "./source-retry-policy.ts";

export interface ProgrammeProgressOptions {
  readonly programme: Programme;
  readonly startAt: { readonly item: number; readonly positionMs: number };
  readonly onItemError: OnItemError;
  readonly log: Logger;
}

/** The next step after the current item: another item, or the end of the programme. */
export type ComesNext = { readonly name: "item"; readonly place: ProgrammePlace } | PlayerEnd;

/** The player's place in its programme. Decides what comes next, also after items that failed. */
export class ProgrammeProgress {
  /** Position in the current item of the media that was sent last, ms. */
  positionMs: number;
  readonly #log: Logger;
  readonly #failedItems: FailedItems;
  #programme: Programme;
  #place: ProgrammePlace;
  /** The place of the source that is, or was last, on the air. */
  #shown: ProgrammePlace | undefined;
  /** The end of the programme after the current source; undefined if another item follows or this is not known yet. */
  #endAfter: PlayerEnd | undefined;
  #skipped: SkippedItems | undefined;

  constructor({ programme, startAt, onItemError, log }: ProgrammeProgressOptions) {
    this.#programme = programme;
    this.#place = { item: startAt.item, round: 0 };
    this.positionMs = startAt.positionMs;
    this.#failedItems = new FailedItems(onItemError);
    this.#log = log;
  }

  get programme(): Programme {
    return this.#programme;
  }

  get place(): ProgrammePlace {
    return this.#place;
  }

  /** Items that were skipped; undefined if none were. */
  get skipped(): SkippedItems | undefined {
    return this.#skipped;
  }

  get next(): ComesNext {
    if (this.#endAfter !== undefined) return this.#endAfter;
    const place = placeAfter(this.#programme, this.#place);
    return place === null ? { name: "finished" } : { name: "item", place };
  }

  /**
   * Records that a source went on the air. Returns true if this is another item, not the previous item opened again.
   */
  show({ programme, place }: { readonly programme: Programme; readonly place: ProgrammePlace }): boolean {
    const isOther = place !== this.#shown;
    this.#programme = programme;
    this.#place = place;
    this.#shown = place;
    this.#endAfter = undefined;
    return isOther;
  }

  /** Records that the current item has played to its end, or long enough to count as playable. */
  seenWell(): void {
    this.#failedItems.seenWell();
  }

  /** Returns what the room has seen of an item that could not be opened, given its place. */
  historyOf(place: ProgrammePlace): SourceHistory {
    return place === this.#shown ? "away" : "unopened";
  }

  /**
   * Gives up an item.
   *
   * @param isGone true if nothing is on the air. If the room is then lost, playback continues after the given-up
   *   item.
   * @returns the item that follows, or how the programme ends after the current source
   */
  giveUp(item: FailedItem, isGone: boolean): ComesNext {
    const verdict = this.#judge(item);
    if (verdict.name === "fail") return (this.#endAfter = { name: "failed", error: verdict.error });
    if (verdict.next === null) return (this.#endAfter = { name: "finished" });
    if (isGone) this.#moveTo(verdict.next);
    return { name: "item", place: verdict.next };
  }

  /**
   * Gives up an item before any item was on the air. Returns the error to fail with, or undefined to try another item.
   */
  giveUpStart(item: FailedItem): RoomcastError | undefined {
    const verdict = this.#judge(item);
    if (verdict.name === "fail" || verdict.next === null) return verdict.error;
    this.#moveTo(verdict.next);
    return undefined;
  }

  #judge(item: FailedItem): FailedItemVerdict {
    const verdict = this.#failedItems.failed(item);
    if (verdict.name === "skip") {
      const source = shownUrl(item.programme.items[item.place.item] ?? "");
      this.#log.warn({ err: verdict.error, source }, "an item of the playlist is skipped");
      const count = (this.#skipped?.count ?? 0) + 1;
      this.#skipped = { count, item: item.place.item, error: verdict.error.toBody() };
    }
    return verdict;
  }

  #moveTo(place: ProgrammePlace): void {
    this.#place = place;
    this.positionMs = 0;
  }
}
