import { parseAacConfig } from "../../media/codec/aac-config.ts";
import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import { CodecError } from "../../media/codec/codec-error.ts";
import { type Pps, parsePps } from "../../media/codec/pps.ts";
import { type ParameterSets, parseSliceHeader } from "../../media/codec/slice-header.ts";
import { parseSps, type Sps } from "../../media/codec/sps.ts";
import { tagDataOffset } from "../../media/flv/flv-tag.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import type { FillFrame, GapFiller } from "../gap-filler.ts";
import { lengthPrefixedUnits } from "./length-prefixed-units.ts";
import { makeRepeatedPicture } from "./repeated-picture.ts";
import { silentFrame } from "./silence.ts";

/**
 * Duration of a repeated picture, ms. Fifteen pictures per second cost about 1 KB per second; the frame rate of a usual
 * source would cost twice that. Their distance is well under the 100 ms after which a player or a watchdog reports a
 * stall.
 */
const PICTURE_MS = 66;
const NAL_TYPE_SPS = 7;
const NAL_TYPE_PPS = 8;

/** The cached result of making a frame or reading the headers; `null` if that is not possible. */
type Made<T> = { readonly made: T | null } | undefined;

/**
 * Fills gaps with repetitions of the last picture (pictures of skipped macroblocks) and with silent AAC frames. Nothing
 * is decoded or encoded: a picture has about 30 bytes and is made once per gap from the last picture's slice header.
 */
export class StreamFiller implements GapFiller {
  #videoHeader: Buffer | undefined;
  #audioHeader: Buffer | undefined;
  /** Parameter sets that came with a keyframe. They are used in addition to those of the sequence header. */
  #inBand: readonly Uint8Array[] = [];
  #sets: Made<KnownSets>;
  #last: MediaTag | undefined;
  #picture: Made<FillFrame>;
  #silence: Made<FillFrame>;

  /**
   * Stores what a filled frame may need. Nothing more is done here, because this runs for every tag of every stream.
   */
  observe(tag: MediaTag): void {
    if (tag.kind === "audio") {
      if (tag.sequenceHeader) this.#observeAudioHeader(tag.payload);
    } else if (tag.sequenceHeader) {
      this.#observeVideoHeader(tag.payload);
    } else {
      this.#last = tag;
      this.#picture = undefined;
      if (tag.keyframe) this.#observeInBandSets(tag.payload);
    }
  }

  /**
   * Returns a picture that looks like the last reference picture. Returns undefined if no picture was sent yet, or if
   * the stream does not allow repeated pictures.
   */
  picture(): FillFrame | undefined {
    if (this.#picture === undefined) {
      this.#picture = { made: orNull(() => this.#makePicture()) };
      // Frees the payload and the slab that it may be part of.
      this.#last = undefined;
    }
    return this.#picture.made ?? undefined;
  }

  silence(): FillFrame | undefined {
    const header = this.#audioHeader;
    if (header === undefined) return undefined;
    this.#silence ??= {
      made: orNull(() => silentFrame(parseAacConfig(header.subarray(tagDataOffset("audio"))), header[0] ?? 0)),
    };
    return this.#silence.made ?? undefined;
  }

  #observeAudioHeader(payload: Buffer): void {
    if (this.#audioHeader?.equals(payload) === true) return;
    this.#audioHeader = Buffer.from(payload);
    this.#silence = undefined;
  }

  /**
   * Stores a new header; the same header again changes nothing. After a new header, there is nothing to repeat before
   * the first picture.
   */
  #observeVideoHeader(payload: Buffer): void {
    if (this.#videoHeader?.equals(payload) === true) return;
    this.#videoHeader = Buffer.from(payload);
    this.#inBand = [];
    this.#sets = undefined;
    this.#last = undefined;
    this.#picture = undefined;
  }

  /**
   * Stores the parameter sets of a keyframe, because some encoders change them within the stream. They come before the
   * first slice.
   */
  #observeInBandSets(payload: Buffer): void {
    const size = nalLengthSizeOf(this.#videoHeader);
    if (size === undefined) return;
    const found: Uint8Array[] = [];
    for (const unit of lengthPrefixedUnits(payload.subarray(tagDataOffset("video")), size)) {
      const type = (unit[0] ?? 0) & 0x1f;
      if (type >= 1 && type <= 5) break;
      if (type === NAL_TYPE_SPS || type === NAL_TYPE_PPS) found.push(unit);
    }
    if (found.length === 0 || sameUnits(found, this.#inBand)) return;
    this.#inBand = found.map((unit) => Uint8Array.from(unit));
    this.#sets = undefined;
  }

  #makePicture(): FillFrame | undefined {
    const last = this.#last;
    const header = this.#videoHeader;
    if (last === undefined || header === undefined) return undefined;
    this.#sets ??= { made: orNull(() => new KnownSets(header.subarray(tagDataOffset("video")), this.#inBand)) };
    const sets = this.#sets.made;
    if (sets === null) return undefined;
    const slice = firstSlice(last.payload.subarray(tagDataOffset("video")), sets.nalLengthSize);
    if (slice === undefined) return undefined;
    const payload = makeRepeatedPicture({
      last: parseSliceHeader(slice, (ppsId) => sets.find(ppsId)),
      nalLengthSize: sets.nalLengthSize,
      lastTagBody: last.payload,
    });
    return payload === undefined ? undefined : { payload, durationMs: PICTURE_MS };
  }
}

/** The parameter sets of a stream by id. A later one replaces an earlier one. */
class KnownSets {
  readonly nalLengthSize: 1 | 2 | 4;
  readonly #sps = new Map<number, Sps>();
  readonly #pps = new Map<number, Pps>();

  /** @throws CodecError */
  constructor(record: Uint8Array, inBand: readonly Uint8Array[]) {
    const config = parseAvcConfig(record);
    this.nalLengthSize = config.nalLengthSize;
    for (const unit of [...config.spsUnits, ...config.ppsUnits, ...inBand]) {
      if (((unit[0] ?? 0) & 0x1f) === NAL_TYPE_SPS) {
        const sps = parseSps(unit);
        this.#sps.set(sps.id, sps);
      } else {
        const pps = parsePps(unit);
        this.#pps.set(pps.id, pps);
      }
    }
  }

  find(ppsId: number): ParameterSets | undefined {
    const pps = this.#pps.get(ppsId);
    const sps = pps === undefined ? undefined : this.#sps.get(pps.spsId);
    return pps === undefined || sps === undefined ? undefined : { sps, pps };
  }
}

/** Returns null if the stream cannot be parsed. Its gaps are then not filled. */
function orNull<T>(make: () => T | undefined): T | null {
  try {
    return make() ?? null;
  } catch (error) {
    if (error instanceof CodecError) return null;
    throw error;
  }
}

/** Reads lengthSizeMinusOne from the AVC configuration after the tag's header. A length of 3 bytes is not allowed. */
function nalLengthSizeOf(header: Buffer | undefined): 1 | 2 | 4 | undefined {
  const size = ((header?.[tagDataOffset("video") + 4] ?? 2) & 3) + 1;
  return size === 1 || size === 2 || size === 4 ? size : undefined;
}

/**
 * Returns the first slice, which has a NAL unit type from 1 to 5. The parser of slice headers rejects partitioned data
 * (2 to 4).
 */
function firstSlice(data: Buffer, nalLengthSize: 1 | 2 | 4): Uint8Array | undefined {
  for (const unit of lengthPrefixedUnits(data, nalLengthSize)) {
    const type = (unit[0] ?? 0) & 0x1f;
    if (type >= 1 && type <= 5) return unit;
  }
  return undefined;
}

function sameUnits(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return (
    left.length === right.length &&
    left.every((unit, index) => Buffer.compare(unit, right[index] ?? new Uint8Array()) === 0)
  );
}
