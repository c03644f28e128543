/** One tag of an FLV stream (Adobe FLV 10.1, E.4.1), of any codec. */
export interface FlvTag {
  readonly kind: "audio" | "video" | "data";
  /** The timestamp in ms, which is 0 or more. It is written modulo 2^32. */
  readonly timestampMs: number;
  readonly payload: Buffer;
}

const TAG_TYPES = { audio: 8, video: 9, data: 18 } as const;
const TAG_HEADER_BYTES = 11;
const MAX_PAYLOAD_BYTES = 0xffffff;

/** Returns the file header and the first PreviousTagSize, which is 0 (E.2 and E.3). */
export function flvHeader(tracks: { readonly audio: boolean; readonly video: boolean }): Buffer {
  const flags = (tracks.audio ? 4 : 0) | (tracks.video ? 1 : 0);
  return Buffer.from([0x46, 0x4c, 0x56, 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
}

/**
 * Returns a tag and its PreviousTagSize as slices to be written in order. The payload is not copied.
 *
 * @throws RangeError for a payload of 16 MiB or more, which is too large for FLV
 */
export function flvTagSlices(tag: FlvTag): readonly [Buffer, Buffer, Buffer] {
  const length = tag.payload.length;
  if (length > MAX_PAYLOAD_BYTES) throw new RangeError("An FLV tag holds less than 16 MiB.");
  const timestamp = tag.timestampMs >>> 0;
  const header = Buffer.alloc(TAG_HEADER_BYTES);
  header.writeUInt8(TAG_TYPES[tag.kind]);
  header.writeUIntBE(length, 1, 3);
  header.writeUIntBE(timestamp & 0xffffff, 4, 3);
  // TimestampExtended has the upper eight bits of the timestamp, and follows the lower 24.
  header.writeUInt8(timestamp >>> 24, 7);
  const trailer = Buffer.alloc(4);
  trailer.writeUInt32BE(TAG_HEADER_BYTES + length);
  return [header, tag.payload, trailer];
}
