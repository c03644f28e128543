/** What is played, in order, and how often. */
export interface Programme {
  /** URLs; at least one. */
  readonly items: readonly string[];
  /** How often all of them are played; Infinity: for ever. */
  readonly plays: number;
}

/** Where in a programme a session is. */
export interface ProgrammePlace {
  /** Index of the item. */
  readonly item: number;
  /** How many times all items were played before. */
  readonly round: number;
}

/** What comes after a place; null: nothing. Pure. */
export function placeAfter(programme: Programme, place: ProgrammePlace): ProgrammePlace | null {
  if (place.item + 1 < programme.items.length) return { item: place.item + 1, round: place.round };
  return place.round + 1 < programme.plays ? { item: 0, round: place.round + 1 } : null;
}
