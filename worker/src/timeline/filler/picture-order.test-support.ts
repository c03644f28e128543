import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import { BitReader } from "../../media/codec/bit-reader.ts";
import { BitWriter } from "../../media/codec/bit-writer.ts";
import { withEmulationPrevention, withoutEmulationPrevention } from "../../media/codec/emulation-prevention.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { lengthPrefixedUnits } from "./length-prefixed-units.ts";

interface Type1 {
  readonly deltaAlwaysZero: boolean;
  readonly offsetForNonRefPic: number;
}

/**
 * Rewrites a clip with picture order type 2 (baseline, no B-frames) to type 1 with the same order, in which each
 * reference picture counts as two. For tests.
 */
export function orderedByType1(clip: readonly FlvTag[], order: Type1): FlvTag[] {
  let frameNumBits = 0;
  return clip.map((tag) => {
    if (tag.kind !== "video") return tag;
    if (tag.payload[1] === 0) {
      const config = parseAvcConfig(tag.payload.subarray(5));
      frameNumBits = config.sps.log2MaxFrameNum;
      const sps = withNewOrder(config.spsUnits[0] ?? new Uint8Array(), order);
      const pps = config.ppsUnits[0] ?? new Uint8Array();
      const head = tag.payload.subarray(0, 10);
      const record = [Buffer.from([0xe1, 0, sps.length]), sps, Buffer.from([1, 0, pps.length]), pps];
      return { ...tag, payload: Buffer.concat([head, ...record]) };
    }
    const units = [...lengthPrefixedUnits(tag.payload.subarray(5), 4)].flatMap((unit) => {
      const type = (unit[0] ?? 0) & 0x1f;
      const slice = order.deltaAlwaysZero || (type !== 1 && type !== 5) ? unit : withZeroDelta(unit, frameNumBits);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(slice.length);
      return [length, slice];
    });
    return { ...tag, payload: Buffer.concat([tag.payload.subarray(0, 5), ...units]) };
  });
}

/** Rewrites an SPS to picture order type 1 (ITU-T H.264, 7.3.2.1.1), for a profile without chroma format. */
function withNewOrder(sps: Uint8Array, order: Type1): Buffer {
  const { reader, writer } = open(sps);
  copyBits(reader, writer, 24);
  copyExpGolomb(reader, writer); // seq_parameter_set_id
  copyExpGolomb(reader, writer); // log2_max_frame_num_minus4
  reader.unsignedExpGolomb(); // pic_order_cnt_type
  writer.unsignedExpGolomb(1);
  writer.flag(order.deltaAlwaysZero);
  writer.signedExpGolomb(order.offsetForNonRefPic);
  writer.signedExpGolomb(0); // offset_for_top_to_bottom_field
  writer.unsignedExpGolomb(1); // num_ref_frames_in_pic_order_cnt_cycle
  writer.signedExpGolomb(2); // offset_for_ref_frame
  return close(sps, reader, writer);
}

/** Adds a delta_pic_order_cnt[0] of 0 to a slice header (7.3.3), after frame_num and idr_pic_id. */
function withZeroDelta(slice: Uint8Array, frameNumBits: number): Buffer {
  const { reader, writer } = open(slice);
  copyExpGolomb(reader, writer); // first_mb_in_slice
  copyExpGolomb(reader, writer); // slice_type
  copyExpGolomb(reader, writer); // pic_parameter_set_id
  copyBits(reader, writer, frameNumBits);
  if (((slice[0] ?? 0) & 0x1f) === 5) copyExpGolomb(reader, writer); // idr_pic_id
  writer.signedExpGolomb(0);
  return close(slice, reader, writer);
}

function open(unit: Uint8Array): { reader: BitReader; writer: BitWriter } {
  return { reader: new BitReader(withoutEmulationPrevention(unit.subarray(1))), writer: new BitWriter() };
}

function copyBits(reader: BitReader, writer: BitWriter, count: number): void {
  writer.bits(reader.bits(count), count);
}

function copyExpGolomb(reader: BitReader, writer: BitWriter): void {
  writer.unsignedExpGolomb(reader.unsignedExpGolomb());
}

/** Copies the rest of the unit, up to its stop bit. */
function close(unit: Uint8Array, reader: BitReader, writer: BitWriter): Buffer {
  // The last byte of a unit is never 0; the bits after its last 1 are padding.
  const padding = 31 - Math.clz32((unit.at(-1) ?? 1) & -(unit.at(-1) ?? 1));
  while (reader.bitsLeft > padding) copyBits(reader, writer, 1);
  writer.alignToByte(0);
  return Buffer.concat([unit.subarray(0, 1), withEmulationPrevention(writer.toBytes())]);
}
