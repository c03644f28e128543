import { writeAvcConfig } from "./avc-config.ts";
import { BitReader } from "./bit-reader.ts";
import { CodecError } from "./codec-error.ts";
import { withoutEmulationPrevention } from "./emulation-prevention.ts";
import { parseSps, type Sps } from "./sps.ts";

interface KnownSps {
  readonly unit: Buffer;
  readonly sps: Sps;
}

interface KnownPps {
  readonly unit: Buffer;
  readonly spsId: number;
}

const NAL_TYPE_SPS = 7;
/** The largest size of a PPS, which is far above that of a PPS with all its scaling lists. */
const MAX_PPS_BYTES = 4096;
/** The largest numbers of sets in a record, whose count fields have 5 and 8 bits. */
const MAX_SPS_COUNT = 31;
const MAX_PPS_COUNT = 255;
/** The number of bytes that are read of a slice or PPS. They are enough for the three numbers at its beginning. */
const HEAD_BYTES = 16;

/** Collects the parameter sets that a stream carries inside its pictures, for a configuration record. */
export class AvcParameterSets {
  readonly #sps = new Map<number, KnownSps>();
  readonly #pps = new Map<number, KnownPps>();
  #activeSpsId: number | undefined;
  #changed = false;

  /** Returns the SPS with which pictures are coded now, or undefined if no SPS has arrived. */
  get activeSps(): Sps | undefined {
    return this.#active?.sps;
  }

  /** Adds an SPS or PPS, given without its start code. An invalid one is ignored. The unit is copied. */
  collect(unit: Uint8Array): void {
    try {
      if (((unit[0] ?? 0) & 0x1f) === NAL_TYPE_SPS) this.#collectSps(unit);
      else this.#collectPps(unit);
    } catch (thrown) {
      if (!(thrown instanceof CodecError)) throw thrown;
    }
  }

  /** Notes the parameter sets with which an IDR picture is coded, by one of its slices. */
  activate(slice: Uint8Array): void {
    try {
      const reader = headReader(slice);
      reader.unsignedExpGolomb(); // first_mb_in_slice
      reader.unsignedExpGolomb(); // slice_type
      const spsId = this.#pps.get(reader.unsignedExpGolomb())?.spsId;
      if (spsId === undefined || spsId === this.#activeSpsId || !this.#sps.has(spsId)) return;
      // With a single SPS, the record does not change when the SPS becomes active.
      if (this.#sps.size > 1) this.#changed = true;
      this.#activeSpsId = spsId;
    } catch (thrown) {
      if (!(thrown instanceof CodecError)) throw thrown;
    }
  }

  /**
   * Returns the configuration record, with the active SPS first. Returns null if the record has not changed since the last
   * call, or if an SPS or a PPS is still missing.
   */
  takeChanged(): Buffer | null {
    const active = this.#active;
    if (!this.#changed || active === undefined || this.#pps.size === 0) return null;
    this.#changed = false;
    const others = [...this.#sps.values()].filter((known) => known !== active);
    return writeAvcConfig(
      [active, ...others].slice(0, MAX_SPS_COUNT).map(({ unit }) => unit),
      [...this.#pps.values()].slice(0, MAX_PPS_COUNT).map(({ unit }) => unit),
    );
  }

  get #active(): KnownSps | undefined {
    const named = this.#activeSpsId === undefined ? undefined : this.#sps.get(this.#activeSpsId);
    return named ?? this.#sps.values().next().value;
  }

  #collectSps(unit: Uint8Array): void {
    for (const known of this.#sps.values()) if (known.unit.equals(unit)) return;
    const sps = parseSps(unit);
    this.#sps.set(sps.id, { unit: Buffer.from(unit), sps });
    // A PPS is interpreted together with its SPS, so the PPS units of a replaced SPS are no longer valid.
    for (const [id, { spsId }] of this.#pps) if (spsId === sps.id) this.#pps.delete(id);
    this.#changed = true;
  }

  #collectPps(unit: Uint8Array): void {
    if (unit.length > MAX_PPS_BYTES) return;
    for (const known of this.#pps.values()) if (known.unit.equals(unit)) return;
    const reader = headReader(unit);
    const id = reader.unsignedExpGolomb();
    const spsId = reader.unsignedExpGolomb();
    if (id > 255 || spsId > 31) return;
    this.#pps.set(id, { unit: Buffer.from(unit), spsId });
    this.#changed = true;
  }
}

function headReader(unit: Uint8Array): BitReader {
  return new BitReader(withoutEmulationPrevention(unit.subarray(1, 1 + HEAD_BYTES)));
}
