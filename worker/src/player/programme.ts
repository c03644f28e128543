/** The items to play in order, and the number of times to play them. */
export interface Programme {
  /** At least one URL. */
  readonly items: readonly string[];
  /** The number of times to play the whole list; Infinity repeats it endlessly. */
  readonly plays: number;
}

/** A place in a programme. */
export interface ProgrammePlace {
  /** Index of the item. */
  readonly item: number;
  /** The number of times that the whole list was played before. */
  readonly round: number;
}

/** Returns the place after this one, or null at the end of the programme. Pure. */
export function placeAfter(programme: Programme, place: ProgrammePlace): ProgrammePlace | null {
  if (place.item + 1 < programme.items.length) return { item: place.item + 1, round: place.round };
  return place.round + 1 < programme.plays ? { item: 0, round: place.round + 1 } : null;
}
