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
/** A limit far above the size of a PPS with all its scaling lists. */
const MAX_PPS_BYTES = 4096;
/** The limits of the record's count fields, which have 5 and 8 bits. */
const MAX_SPS_COUNT = 31;
const MAX_PPS_COUNT = 255;
/** Enough bytes for the three numbers at the head of a slice or PPS. */
const HEAD_BYTES = 16;

/** Collects the parameter sets that a stream carries inside its pictures, for a configuration record. */
export class AvcParameterSets {
  readonly #sps = new Map<number, KnownSps>();
  readonly #pps = new Map<number, KnownPps>();
  #activeSpsId: number | undefined;
  #changed = false;

  /** Returns the SPS that pictures are coded with now; undefined if none has come. */
  get activeSps(): Sps | undefined {
    return this.#active?.sps;
  }

  /** Adds an SPS or PPS without its start code; one that is not sound is ignored. The unit is copied. */
  collect(unit: Uint8Array): void {
    try {
      if (((unit[0] ?? 0) & 0x1f) === NAL_TYPE_SPS) this.#collectSps(unit);
      else this.#collectPps(unit);
    } catch (thrown) {
      if (!(thrown instanceof CodecError)) throw thrown;
    }
  }

  /** Notes which sets an IDR picture is coded with, by one of its slices. */
  activate(slice: Uint8Array): void {
    try {
      const reader = headReader(slice);
      reader.unsignedExpGolomb(); // first_mb_in_slice
      reader.unsignedExpGolomb(); // slice_type
      const spsId = this.#pps.get(reader.unsignedExpGolomb())?.spsId;
      if (spsId === undefined || spsId === this.#activeSpsId || !this.#sps.has(spsId)) return;
      // With a single SPS, the record does not depend on which one is active.
      if (this.#sps.size > 1) this.#changed = true;
      this.#activeSpsId = spsId;
    } catch (thrown) {
      if (!(thrown instanceof CodecError)) throw thrown;
    }
  }

  /**
   * Returns the record with its active SPS first. Returns null if it has not changed since the last call, or if a set
   * is still missing.
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
    // Picture parameters are parsed with the sequence parameters, so those of the old sequence are no longer valid.
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
