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

/** What follows the current item. */
export type ComesNext = { readonly name: "item"; readonly place: ProgrammePlace } | PlayerEnd;

/** Where in its programme a player is, what comes next, and what items that fail change about that. */
export class ProgrammeProgress {
  /** In the current item, ms: what the room was sent last. */
  positionMs: number;
  readonly #log: Logger;
  readonly #failedItems: FailedItems;
  #programme: Programme;
  #place: ProgrammePlace;
  /** Where the source stands that is, or was last, on the air. */
  #shown: ProgrammePlace | undefined;
  /** How the programme ends after what is on the air; undefined: another item comes, or it is not known yet. */
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

  /** Items that were passed over; undefined: none was. */
  get skipped(): SkippedItems | undefined {
    return this.#skipped;
  }

  get next(): ComesNext {
    if (this.#endAfter !== undefined) return this.#endAfter;
    const place = placeAfter(this.#programme, this.#place);
    return place === null ? { name: "finished" } : { name: "item", place };
  }

  /** A source has come on the air; returns whether it is another item than before, and not the same one reopened. */
  show({ programme, place }: { readonly programme: Programme; readonly place: ProgrammePlace }): boolean {
    const isOther = place !== this.#shown;
    this.#programme = programme;
    this.#place = place;
    this.#shown = place;
    this.#endAfter = undefined;
    return isOther;
  }

  /** The current item has played to its end, or for long enough. */
  seenWell(): void {
    this.#failedItems.seenWell();
  }

  /** What the room has seen of the item at a place that could not be opened. */
  historyOf(place: ProgrammePlace): SourceHistory {
    return place === this.#shown ? "away" : "unopened";
  }

  /**
   * An item is given up.
   *
   * @param isGone nothing is on the air: where the room is lost, it goes on behind what was given up
   * @returns what takes its place, or how the programme ends after what is still on the air
   */
  giveUp(item: FailedItem, isGone: boolean): ComesNext {
    const verdict = this.#judge(item);
    if (verdict.name === "fail") return (this.#endAfter = { name: "failed", error: verdict.error });
    if (verdict.next === null) return (this.#endAfter = { name: "finished" });
    if (isGone) this.#moveTo(verdict.next);
    return { name: "item", place: verdict.next };
  }

  /** Nothing was on the air yet. @returns why nothing will be; undefined: another item is tried */
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
