import type { OutgoingMedia } from "@roomcast/worker/publisher";

/** Network abstraction layer unit types (ITU-T H.265, table 7-1). */
const LAST_PICTURE_TYPE = 31;
const FIRST_KEY_TYPE = 16;
const LAST_KEY_TYPE = 21;
const PARAMETER_SETS = [32, 33, 34] as const;
const SPS = 33;

const FRAME_KEY = 1;
const FRAME_INTER = 2;
const SEQUENCE_START = 0;
/** A picture that is shown when it is decoded. */
const CODED_FRAMES_X = 3;

/**
 * Returns the tags of enhanced RTMP ("hvc1") for an H.265 byte stream without B-frames, one slice a picture. Pure.
 *
 * @returns an empty list if the stream is not H.265
 */
export function hevcTags(stream: Buffer, fps: number): OutgoingMedia[] {
  const units = splitUnits(stream);
  const sets = PARAMETER_SETS.map((type) => units.find((unit) => typeOf(unit) === type));
  const known = sets.filter((set) => set !== undefined);
  if (known.length < PARAMETER_SETS.length) return [];
  const pictures = units.filter((unit) => typeOf(unit) <= LAST_PICTURE_TYPE);
  const frames = pictures.map((unit, index): OutgoingMedia => {
    const isKey = typeOf(unit) >= FIRST_KEY_TYPE && typeOf(unit) <= LAST_KEY_TYPE;
    const payload = tagBody(isKey ? FRAME_KEY : FRAME_INTER, CODED_FRAMES_X, withLength(unit, 4));
    return { kind: "video", timestampMs: Math.round((index * 1000) / fps), payload };
  });
  const start = tagBody(FRAME_KEY, SEQUENCE_START, configuration(known));
  return [{ kind: "video", timestampMs: 0, payload: start }, ...frames];
}

/** HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1): 4:2:0, 8 bits. */
function configuration(sets: readonly Buffer[]): Buffer {
  const sps = sets.find((set) => typeOf(set) === SPS) ?? Buffer.alloc(0);
  // Behind the unit's header and the SPS's first byte are twelve bytes of profile, tier and level.
  const profile = withoutEmulation(sps).subarray(3, 15);
  const rest = Buffer.from([0xf0, 0x00, 0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, sets.length]);
  const arrays = sets.map((set) => Buffer.concat([Buffer.from([0x80 | typeOf(set), 0, 1]), withLength(set, 2)]));
  return Buffer.concat([Buffer.from([1]), profile, rest, ...arrays]);
}

function tagBody(frameType: number, packetType: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | (frameType << 4) | packetType]), Buffer.from("hvc1"), data]);
}

/** Annex B: units stand behind 00 00 01, with zeros in front of it. */
function splitUnits(stream: Buffer): Buffer[] {
  const units: Buffer[] = [];
  const startCode = Buffer.from([0, 0, 1]);
  for (let at = stream.indexOf(startCode); at !== -1; ) {
    const next = stream.indexOf(startCode, at + 3);
    let end = next === -1 ? stream.length : next;
    while (end > at && stream[end - 1] === 0) end -= 1;
    units.push(stream.subarray(at + 3, end));
    at = next;
  }
  return units.filter(({ length }) => length > 2);
}

function typeOf(unit: Buffer): number {
  return (unit.readUInt8(0) >> 1) & 0x3f;
}

function withoutEmulation(unit: Buffer): Buffer {
  return Buffer.from(unit.filter((byte, at) => !(byte === 3 && at >= 2 && unit[at - 1] === 0 && unit[at - 2] === 0)));
}

function withLength(unit: Buffer, bytes: number): Buffer {
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(unit.length, 0, bytes);
  return Buffer.concat([length, unit]);
}
