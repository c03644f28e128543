import { reordersFrames, type Sps } from "../../media/codec/sps.ts";

/** The assumed duration of a picture until the stream or its times give one. */
const USUAL_FRAME_TICKS = 3600;
const TICKS_PER_SECOND = 90_000;
const MAX_FRAME_TICKS = TICKS_PER_SECOND;
const MAX_REORDER = 16;

interface Times {
  readonly pts: number;
  readonly dts: number;
}

/** Gives each picture of an H.264 stream a decode time, even if its PES packet has none. Times are ticks of 90 kHz. */
export class PictureClock {
  #last: Times | undefined;
  #measuredTicks = USUAL_FRAME_TICKS;
  #decodeTimesSaid = false;
  /** The latest presentation times, ascending, if decode times have to be derived from them. */
  readonly #shown: number[] = [];

  /**
   * Returns the times of the next picture, or null until a picture has had times.
   *
   * @param said the times that the picture's PES packet gives, or null if it gives none
   */
  next(said: { readonly pts: number; readonly dts: number | null } | null, sps: Sps | undefined): Times | null {
    const times = said === null ? this.#interpolated(sps) : this.#said(said.pts, said.dts, sps);
    if (times === null) return null;
    const step = this.#last === undefined ? 0 : times.dts - this.#last.dts;
    if (said !== null && step > 0 && step < MAX_FRAME_TICKS) this.#measuredTicks = step;
    this.#last = times;
    return times;
  }

  /** Announces that the next picture does not continue the last one. */
  reset(): void {
    this.#shown.length = 0;
  }

  #interpolated(sps: Sps | undefined): Times | null {
    if (this.#last === undefined) return null;
    const ticks = this.#frameTicks(sps);
    return { pts: this.#last.pts + ticks, dts: this.#last.dts + ticks };
  }

  #said(pts: number, dts: number | null, sps: Sps | undefined): Times {
    if (dts !== null) {
      this.#decodeTimesSaid = true;
      return { pts, dts };
    }
    const depth = sps?.vui.maxNumReorderFrames ?? 0;
    // A missing DTS is equal to the PTS (ISO/IEC 13818-1, 2.4.3.7), unless the muxer never writes any.
    const missing = !this.#decodeTimesSaid && depth > 0 && sps !== undefined && reordersFrames(sps) !== false;
    return missing ? { pts, dts: this.#ordered(pts, Math.min(depth, MAX_REORDER), sps) } : { pts, dts: pts };
  }

  /**
   * Derives a decode time. Decode times are the presentation times in ascending order, moved back by the number of
   * reordered pictures.
   */
  #ordered(pts: number, depth: number, sps: Sps): number {
    const latest = this.#shown.at(-1);
    if (latest !== undefined && Math.abs(pts - latest) > 10 * MAX_FRAME_TICKS) this.#shown.length = 0;
    const before = this.#shown.findIndex((other) => other > pts);
    this.#shown.splice(before === -1 ? this.#shown.length : before, 0, pts);
    const missing = depth + 1 - this.#shown.length;
    if (missing < 0) this.#shown.shift();
    return (this.#shown[0] ?? pts) - Math.max(0, missing) * this.#frameTicks(sps);
  }

  #frameTicks(sps: Sps | undefined): number {
    const fps = sps?.vui.fps ?? 0;
    return fps >= 1 && fps <= 300 ? TICKS_PER_SECOND / fps : this.#measuredTicks;
  }
}
