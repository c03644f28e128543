import { RoomcastError } from "@roomcast/shared";
import { type Programme, type ProgrammePlace, placeAfter } from "./programme.ts";

/** What a playlist does when one of its items cannot be played, or breaks off and does not come back. */
export type OnItemError = "skip" | "fail";

export interface FailedItem {
  readonly programme: Programme;
  readonly place: ProgrammePlace;
  readonly error: RoomcastError;
}

export type FailedItemVerdict =
  /** It is passed over; `next` null: nothing comes after it. */
  | { readonly name: "skip"; readonly next: ProgrammePlace | null; readonly error: RoomcastError }
  | { readonly name: "fail"; readonly error: RoomcastError };

/** Decides what becomes of a programme with items that fail. Does no I/O. */
export class FailedItems {
  readonly #onItemError: OnItemError;
  /** The first error since an item was last seen well. */
  #first: RoomcastError | undefined;
  #inRow = 0;
  #anySeen = false;

  constructor(onItemError: OnItemError) {
    this.#onItemError = onItemError;
  }

  /** An item has played to its end, or for long enough. */
  seenWell(): void {
    this.#first = undefined;
    this.#inRow = 0;
    this.#anySeen = true;
  }

  /** A whole round of failures ends the programme: a playlist that is repeated for ever must not spin. */
  failed({ programme, place, error }: FailedItem): FailedItemVerdict {
    const named = namingItem(error, programme, place);
    this.#first ??= named;
    this.#inRow += 1;
    const { length } = programme.items;
    if (this.#onItemError === "fail" || length === 1) return { name: "fail", error: named };
    if (this.#inRow >= length) return { name: "fail", error: noneOf(length, this.#first) };
    const next = placeAfter(programme, place);
    if (next === null && !this.#anySeen) return { name: "fail", error: this.#first };
    return { name: "skip", next, error: named };
  }
}

/** "Item 2 of 3, round 4: …"; as it is where there is only one item, in its first round. Pure. */
export function namingItem(error: RoomcastError, programme: Programme, place: ProgrammePlace): RoomcastError {
  const { length } = programme.items;
  const item = length > 1 ? `Item ${place.item + 1} of ${length}` : "";
  const round = programme.plays > 1 && (length > 1 || place.round > 0) ? `round ${place.round + 1}` : "";
  const where = [item, round].filter((part) => part !== "").join(", ");
  if (where === "") return error;
  const message = `${where[0]?.toUpperCase()}${where.slice(1)}: ${error.message}`;
  return new RoomcastError(error.code, message, { cause: error.cause });
}

function noneOf(items: number, first: RoomcastError): RoomcastError {
  const message = `None of the ${items} items could be played. ${first.message}`;
  return new RoomcastError(first.code, message, { cause: first.cause });
}
