import { crc32 } from "node:zlib";

const TS_PACKET_BYTES = 188;

/** A packet of MPEG-TS (ISO/IEC 13818-1, section 2.4.3.2), filled up with 0xff. */
export function tsPacket(pid: number, payload: Buffer, { start = false, counter = 0 } = {}): Buffer {
  const packet = Buffer.alloc(TS_PACKET_BYTES, 0xff);
  packet.writeUInt8(0x47, 0);
  packet.writeUInt16BE((start ? 0x4000 : 0) | pid, 1);
  packet.writeUInt8(0x10 | (counter & 15), 3);
  payload.copy(packet, 4);
  return packet;
}

/** A section of program tables (sections 2.4.4.3 and 2.4.4.8), behind its pointer field. */
export function tsSection(tableId: number, id: number, version: number, body: Buffer): Buffer {
  const section = Buffer.alloc(8 + body.length + 4);
  section.writeUInt8(tableId, 0);
  section.writeUInt16BE(0xb000 | (5 + body.length + 4), 1);
  section.writeUInt16BE(id, 3);
  section.writeUInt8(0xc1 | ((version & 31) << 1), 5);
  body.copy(section, 8);
  section.writeUInt32BE(mpegCrc(section.subarray(0, -4)), section.length - 4);
  return Buffer.concat([Buffer.of(0), section]);
}

const CRC_OF_BYTE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
  return crc >>> 0;
});

/** Annex A of the same standard. */
function mpegCrc(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crc << 8) ^ (CRC_OF_BYTE[(crc >>> 24) ^ byte] ?? 0);
  return crc >>> 0;
}

/** A box of MP4 (ISO/IEC 14496-12, section 4.2). */
export function mp4Box(type: string, ...body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(8 + body.reduce((sum, part) => sum + part.length, 0));
  header.write(type, 4, "latin1");
  return Buffer.concat([header, ...body]);
}

export const FTYP = mp4Box("ftyp", Buffer.from("isom\0\0\x02\0isomiso2avc1mp41", "latin1"));

/** Boxes in boxes. Written from the outside in: joining them level by level would take quadratic time. */
export function nestedBoxes(types: readonly string[], depth: number): Buffer {
  const bytes = Buffer.alloc(depth * 8);
  for (let level = 0; level < depth; level += 1) {
    bytes.writeUInt32BE((depth - level) * 8, level * 8);
    bytes.write(types[Math.min(level, types.length - 1)] ?? "free", level * 8 + 4, "latin1");
  }
  return bytes;
}

/** An element of Matroska (RFC 8794, sections 4 and 5). */
export function ebml(idHex: string, body: Buffer, claimedBytes: number = body.length): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE((1n << 56n) | BigInt(claimedBytes));
  return Buffer.concat([Buffer.from(idHex, "hex"), size, body]);
}

export const EBML_HEADER = ebml(
  "1a45dfa3",
  Buffer.concat([ebml("4282", Buffer.from("matroska")), ebml("4287", Buffer.of(4)), ebml("4285", Buffer.of(2))]),
);

/** A tag of FLV (version 10.1, section E.4.1). */
export function flvTag(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(11);
  header.writeUInt8(type, 0);
  header.writeUIntBE(body.length, 1, 3);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(header.length + body.length);
  return Buffer.concat([header, body, size]);
}

export const FLV_HEADER = Buffer.from("464c5601050000000900000000", "hex");

/** `onMetaData` and behind it an AMF0 object of many keys, `bytes` long in all. */
export function amfOfManyKeys(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  let at = writeOnMetaData(body);
  at = body.writeUInt8(3, at);
  for (let key = 0; at + 11 <= bytes; key += 1) {
    at = body.writeUInt16BE(5, at);
    at += body.write(key.toString(36).padStart(5, "k"), at, "latin1");
    at = body.writeUInt8(5, at);
  }
  return endOfObject(body, at);
}

/** The same with arrays in arrays. */
export function amfNest(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  let at = writeOnMetaData(body);
  while (at + 5 <= bytes) {
    at = body.writeUInt8(0x0a, at);
    at = body.writeUInt32BE(1, at);
  }
  return body;
}

/** One array of as many empty texts as fit. */
export function amfOfManyValues(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  let at = writeOnMetaData(body);
  at = body.writeUInt8(0x0a, at);
  at = body.writeUInt32BE(Math.floor((bytes - at - 4) / 4), at);
  // Objects without a key: three bytes of end behind a marker.
  while (at + 4 <= bytes) at = body.writeUInt32BE(0x0300_0009, at);
  return body.subarray(0, at);
}

function writeOnMetaData(body: Buffer): number {
  const at = body.writeUInt8(2, 0);
  body.writeUInt16BE(10, at);
  return at + 2 + body.write("onMetaData", at + 2, "latin1");
}

function endOfObject(body: Buffer, at: number): Buffer {
  body.writeUIntBE(0x000009, at, 3);
  return body.subarray(0, at + 3);
}

/** Section 9.1 of H.264. */
function golomb(value: number): string {
  const digits = (value + 1).toString(2);
  return "0".repeat(digits.length - 1) + digits;
}

/** An H.264 sequence parameter set (baseline, level 5.1) of pictures with this number of macroblocks. */
function sequenceParameterSet(widthMbs: number, heightMbs: number): Buffer {
  // Section 7.3.2.1.1: id, frame number, order type 2, one reference, no gaps, size, frames only, direct, no crop, no VUI.
  const numbers = [0, 0, 2, 1].map(golomb).join("");
  const size = golomb(widthMbs - 1) + golomb(heightMbs - 1);
  const bits = `${numbers}0${size}11001`;
  const bytes = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0").match(/.{8}/g) ?? [];
  return Buffer.from([0x67, 66, 0xc0, 51, ...bytes.map((byte) => Number.parseInt(byte, 2))]);
}

/** Copies an MP4 or MKV file and makes its H.264 declare pictures of 32768x32768. */
export function withHugeH264(file: Buffer): Buffer {
  const changed = Buffer.from(file);
  // ISO/IEC 14496-15, section 5.3.3.1: behind 0xff 0xe1 stands the set's length, then the set.
  const at = changed.indexOf(Buffer.from("ffe1", "hex"));
  const length = changed.readUInt16BE(at + 2);
  const set = sequenceParameterSet(2048, 2048);
  if (at === -1 || length < set.length) throw new Error("The clip has no parameter set that can be replaced.");
  changed.fill(0, at + 4, at + 4 + length);
  set.copy(changed, at + 4);
  const entry = changed.indexOf("avc1", changed.indexOf("stsd"));
  if (entry !== -1 && changed.includes("moov")) changed.writeUInt32BE(0x7fff_7fff, entry + 28);
  return changed;
}

/** Copies a file with PNG pictures and makes their headers declare 32767x32767 (PNG, section 11.2.2), with valid checksums. */
export function withHugePng(file: Buffer): Buffer {
  const changed = Buffer.from(file);
  for (let at = changed.indexOf("IHDR"); at !== -1; at = changed.indexOf("IHDR", at + 4)) {
    changed.writeUInt32BE(32_767, at + 4);
    changed.writeUInt32BE(32_767, at + 8);
    changed.writeUInt32BE(crc32(changed.subarray(at, at + 17)), at + 17);
  }
  return changed;
}
