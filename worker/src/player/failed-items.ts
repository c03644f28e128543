import { RoomcastError } from "@roomcast/shared";
import { type Programme, type ProgrammePlace, placeAfter } from "./programme.ts";

/** The reaction to an item of a playlist that cannot be played, or is lost and does not come back. */
export type OnItemError = "skip" | "fail";

export interface FailedItem {
  readonly programme: Programme;
  readonly place: ProgrammePlace;
  readonly error: RoomcastError;
}

export type FailedItemVerdict =
  /** The item is skipped. `next` is null if no other item follows. */
  | { readonly name: "skip"; readonly next: ProgrammePlace | null; readonly error: RoomcastError }
  | { readonly name: "fail"; readonly error: RoomcastError };

/** Decides how a programme continues after one of its items has failed. Does no I/O. */
export class FailedItems {
  readonly #onItemError: OnItemError;
  /** The first error since an item last played well. */
  #first: RoomcastError | undefined;
  #inRow = 0;
  #anySeen = false;

  constructor(onItemError: OnItemError) {
    this.#onItemError = onItemError;
  }

  /** Records that an item has played to its end, or long enough to count as playable. */
  seenWell(): void {
    this.#first = undefined;
    this.#inRow = 0;
    this.#anySeen = true;
  }

  /**
   * Decides what follows a failed item. A full round of failures ends the programme, because an endlessly repeated
   * playlist must not busy-loop.
   */
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

/** Adds "Item 2 of 3, round 4: …" to the message. A single item in its first round is not named. Pure. */
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
