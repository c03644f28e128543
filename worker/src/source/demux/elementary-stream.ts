/** Makes tags of the bytes of one elementary stream, which come in PES packets. */
export interface ElementaryStream {
  /**
   * Begins a PES packet. Its times belong to the first picture or frame that begins in it.
   *
   * @param pts ticks of 90 kHz without wrap-around; null if absent
   * @param dts ticks like `pts`; null if the decode time equals `pts`
   */
  begin(pts: number | null, dts: number | null): void;
  append(bytes: Buffer, start: number, end: number): void;
  /** Reports missing bytes. The picture or frame that they belong to and the rest of the PES packet are dropped. */
  lose(): void;
  /** Gives the waiting picture or frame if it is whole, because no more of it will come. */
  flush(): void;
}

/** The positions and times of PES packets whose times no picture or frame has taken yet. */
export class TimeMarks {
  readonly #marks: { at: number; readonly pts: number; readonly dts: number | null }[] = [];

  add(at: number, pts: number | null, dts: number | null): void {
    if (pts === null) return;
    // A stream of empty PES packets must not fill the memory; only the last one before a frame counts.
    if (this.#marks.at(-1)?.at === at) this.#marks.pop();
    if (this.#marks.length > MAX_MARKS) this.#marks.shift();
    this.#marks.push({ at, pts, dts });
  }

  /**
   * Returns the times for a position, which are those of the last PES packet that begins there or before, and forgets
   * them.
   */
  take(at: number): { readonly pts: number; readonly dts: number | null } | null {
    let found: { readonly pts: number; readonly dts: number | null } | null = null;
    while ((this.#marks[0]?.at ?? Number.POSITIVE_INFINITY) <= at) found = this.#marks.shift() ?? null;
    return found;
  }

  /** Adjusts the positions after the first bytes were dropped. */
  shift(count: number): void {
    for (const mark of this.#marks) mark.at = Math.max(0, mark.at - count);
  }

  clear(): void {
    this.#marks.length = 0;
  }
}

const MAX_MARKS = 256;
