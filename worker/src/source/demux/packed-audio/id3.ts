/** The size of the header of an ID3v2 tag, and of its footer (id3.org, ID3v2.4.0, 3.1). */
export const ID3_HEADER_BYTES = 10;
const FOOTER_FLAG = 0x10;
const FRAME_HEADER_BYTES = 10;
const TIMESTAMP_OWNER = "com.apple.streaming.transportStreamTimestamp\0";

/** Returns the size of the tag that begins at the position, or null if none begins there. */
export function id3Bytes(bytes: Buffer, at: number): number | null {
  if (at + ID3_HEADER_BYTES > bytes.length || bytes.toString("latin1", at, at + 3) !== "ID3") return null;
  // Versions and sizes never contain a sync word.
  if (bytes[at + 3] === 0xff || bytes[at + 4] === 0xff) return null;
  for (let index = 6; index < 10; index += 1) if (((bytes[at + index] ?? 0) & 0x80) !== 0) return null;
  const footer = ((bytes[at + 5] ?? 0) & FOOTER_FLAG) === 0 ? 0 : ID3_HEADER_BYTES;
  return ID3_HEADER_BYTES + syncSafe(bytes, at + 6) + footer;
}

/**
 * Returns the time of the first audio frame after a tag, in 33 bits of 90 kHz. HLS puts it into packed audio (RFC 8216,
 * 3.4), as 8 bytes after the owner's name in a PRIV frame. Returns null if the tag does not contain it. The tag may be
 * cut short.
 */
export function transportTimeOf(tag: Buffer): number | null {
  const name = tag.indexOf(TIMESTAMP_OWNER, 0, "latin1");
  const at = name + TIMESTAMP_OWNER.length;
  if (name < FRAME_HEADER_BYTES || at + 8 > tag.length) return null;
  return (tag.readUInt32BE(at) & 1) * 2 ** 32 + tag.readUInt32BE(at + 4);
}

/** Reads a size in four bytes of seven bits (6.2). */
function syncSafe(bytes: Buffer, at: number): number {
  let value = 0;
  for (let index = at; index < at + 4; index += 1) value = (value << 7) | (bytes[index] ?? 0);
  return value;
}
