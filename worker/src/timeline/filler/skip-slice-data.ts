import { BitWriter } from "../../media/codec/bit-writer.ts";

/**
 * The SliceQPY that the slice header must have for the CABAC data below. Skipped macroblocks do not use the value for
 * anything else.
 */
export const SKIP_SLICE_QP = 51;

/**
 * State of ctxIdx 11 (mb_skip_flag in P slices) at SliceQPY 51 and cabac_init_idc 0: m = 23 and n = 33 (ITU-T H.264,
 * table 9-13) give preCtxState 106, and therefore a state of 42 whose most probable symbol is 1 (equation 9-5). At this
 * quantizer, "skipped" is the most probable symbol from the first macroblock on in every stream. At a low quantizer it
 * is not.
 */
const FIRST_STATE = 42;
const LAST_STATE = 62;
/**
 * rangeTabLPS (table 9-44) for the states 42 to 62. An encoder that only gets the most probable symbol does not need
 * any other states.
 */
const RANGE_TAB_LPS: readonly (readonly [number, number, number, number])[] = [
  [16, 20, 23, 27],
  [15, 19, 22, 25],
  [14, 18, 21, 24],
  [14, 17, 20, 23],
  [13, 16, 19, 22],
  [12, 15, 18, 21],
  [12, 14, 17, 20],
  [11, 14, 16, 19],
  [11, 13, 15, 18],
  [10, 12, 15, 17],
  [10, 12, 14, 16],
  [9, 11, 13, 15],
  [9, 11, 12, 14],
  [8, 10, 12, 14],
  [8, 9, 11, 13],
  [7, 9, 11, 12],
  [7, 9, 10, 12],
  [7, 8, 10, 11],
  [6, 8, 9, 11],
  [6, 7, 9, 10],
  [6, 7, 8, 9],
];

/** Writes CAVLC slice data (7.3.4) of a P slice in which all macroblocks are skipped, with the trailing bits. */
export function writeCavlcSkips(writer: BitWriter, macroblocks: number): void {
  writer.unsignedExpGolomb(macroblocks); // mb_skip_run
  writer.bit(1); // rbsp_stop_one_bit
  writer.alignToByte(0);
}

/** Writes the same slice data in CABAC (9.3.4). The writer must be right after a slice header with `SKIP_SLICE_QP`. */
export function writeCabacSkips(writer: BitWriter, macroblocks: number): void {
  writer.alignToByte(1); // cabac_alignment_one_bit
  for (const byte of cabacSkips(macroblocks)) writer.bits(byte, 8);
}

/** The number of picture sizes for which data is cached. Few sizes are in use. */
const MAX_KEPT_SIZES = 16;
/**
 * The cached slice data by number of macroblocks, on which alone it depends. Making it for 1080p takes almost a
 * millisecond.
 */
const keptSkips = new Map<number, Uint8Array>();

function cabacSkips(macroblocks: number): Uint8Array {
  const kept = keptSkips.get(macroblocks);
  if (kept !== undefined) return kept;
  const data = encodeSkips(macroblocks);
  if (keptSkips.size >= MAX_KEPT_SIZES) keptSkips.clear();
  keptSkips.set(macroblocks, data);
  return data;
}

function encodeSkips(macroblocks: number): Uint8Array {
  const writer = new BitWriter();
  const encoder = new ProbableSymbolEncoder(writer);
  for (let left = macroblocks; left > 0; left -= 1) {
    // All neighbours are skipped or outside the slice, so mb_skip_flag always uses the same context (9.3.3.1.1.1).
    encoder.encodeProbable();
    encoder.encodeTerminate(left === 1);
  }
  writer.alignToByte(0);
  return writer.toBytes();
}

/**
 * The arithmetic encoder of 9.3.4.2 for one context that only gets its most probable symbol, and for end_of_slice_flag.
 */
class ProbableSymbolEncoder {
  readonly #writer: BitWriter;
  #state = FIRST_STATE;
  #low = 0;
  #range = 510;
  #outstanding = 0;
  #first = true;

  constructor(writer: BitWriter) {
    this.#writer = writer;
  }

  /** Encodes the most probable symbol (figure 9-7). */
  encodeProbable(): void {
    this.#range -= RANGE_TAB_LPS[this.#state - FIRST_STATE]?.[(this.#range >> 6) & 3] ?? 0;
    this.#state = Math.min(this.#state + 1, LAST_STATE);
    this.#renormalize();
  }

  /**
   * Encodes end_of_slice_flag (figures 9-11 and 9-12). The last bit that is written at the end is the
   * rbsp_stop_one_bit.
   */
  encodeTerminate(end: boolean): void {
    this.#range -= 2;
    if (end) {
      this.#low += this.#range;
      this.#range = 2;
    }
    this.#renormalize();
    if (!end) return;
    this.#put((this.#low >> 9) & 1);
    this.#writer.bits(((this.#low >> 7) & 3) | 1, 2);
  }

  /** Renormalizes the range (figure 9-8). */
  #renormalize(): void {
    while (this.#range < 256) {
      if (this.#low < 256) {
        this.#put(0);
      } else if (this.#low >= 512) {
        this.#low -= 512;
        this.#put(1);
      } else {
        this.#low -= 256;
        this.#outstanding += 1;
      }
      this.#range <<= 1;
      this.#low <<= 1;
    }
  }

  /** Writes a bit and the outstanding ones (figure 9-9). */
  #put(bit: number): void {
    if (this.#first) this.#first = false;
    else this.#writer.bit(bit);
    for (; this.#outstanding > 0; this.#outstanding -= 1) this.#writer.bit(1 - bit);
  }
}
