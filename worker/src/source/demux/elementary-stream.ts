/** Takes the bytes of one elementary stream out of PES packets and makes tags of them. */
export interface ElementaryStream {
  /**
   * A PES packet begins. Its times belong to the first picture or frame that begins in it.
   *
   * @param pts ticks of 90 kHz without wrap-around; null: not said. @param dts the same; null: as `pts`.
   */
  begin(pts: number | null, dts: number | null): void;
  append(bytes: Buffer, start: number, end: number): void;
  /** Bytes are missing here: what they belonged to is dropped, and so is the rest of the PES packet. */
  lose(): void;
  /** Nothing more belongs to what waits: gives it if it is whole. */
  flush(): void;
}

/** Where in an elementary stream the PES packets begin whose times no picture or frame has taken yet. */
export class TimeMarks {
  readonly #marks: { at: number; readonly pts: number; readonly dts: number | null }[] = [];

  add(at: number, pts: number | null, dts: number | null): void {
    if (pts === null) return;
    // A stream of empty PES packets must not fill the memory; only the last one before a frame counts.
    if (this.#marks.at(-1)?.at === at) this.#marks.pop();
    if (this.#marks.length > MAX_MARKS) this.#marks.shift();
    this.#marks.push({ at, pts, dts });
  }

  /** The times for what begins at a position: those of the last PES packet that begins there or before. */
  take(at: number): { readonly pts: number; readonly dts: number | null } | null {
    let found: { readonly pts: number; readonly dts: number | null } | null = null;
    while ((this.#marks[0]?.at ?? Number.POSITIVE_INFINITY) <= at) found = this.#marks.shift() ?? null;
    return found;
  }

  /** The first bytes were forgotten. */
  shift(count: number): void {
    for (const mark of this.#marks) mark.at = Math.max(0, mark.at - count);
  }

  clear(): void {
    this.#marks.length = 0;
  }
}

const MAX_MARKS = 256;
