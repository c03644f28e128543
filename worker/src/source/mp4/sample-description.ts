import { type AacConfig, parseAacConfig } from "../../media/codec/aac-config.ts";
import { type AvcConfig, parseAvcConfig } from "../../media/codec/avc-config.ts";
import { CodecError } from "../../media/codec/codec-error.ts";
import { type Box, findBox, listBoxes, needBox, shownType } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";

export interface AvcDescription {
  readonly record: Buffer;
  readonly config: AvcConfig;
  /** The pixel aspect ratio from `pasp`, or null if the SPS decides. */
  readonly pixelAspect: number | null;
}

export interface AacDescription {
  readonly record: Buffer;
  readonly config: AacConfig;
}

const VISUAL_ENTRY_BYTES = 78;
const AUDIO_ENTRY_BYTES = 28;
/** Values of objectTypeIndication (ISO/IEC 14496-1, 7.2.6.6) for MPEG-4 audio and MPEG-2 AAC. */
const AAC_OBJECTS = new Set([0x40, 0x66, 0x67, 0x68]);
const TAG_ES = 3;
const TAG_DECODER_CONFIG = 4;
const TAG_DECODER_SPECIFIC = 5;

/**
 * Reads the H.264 description of a track.
 *
 * @throws Mp4Error if the track does not have exactly one H.264 description with its parameter sets outside the samples
 */
export function parseVideoDescription(buffer: Buffer, stbl: Box): AvcDescription {
  const entry = singleEntry(buffer, stbl, VISUAL_ENTRY_BYTES);
  // avc3 may change its parameter sets inside the samples.
  if (entry.type !== "avc1") throw new Mp4Error(`The video is ${shownType(entry.type)}, not avc1.`);
  const inner: Box = { ...entry, start: entry.start + VISUAL_ENTRY_BYTES };
  const avcc = needBox(buffer, inner, "avcC");
  const record = buffer.subarray(avcc.start, avcc.end);
  const config = codec(() => parseAvcConfig(record));
  // Some receivers of FLV assume that lengths have 4 bytes.
  if (config.nalLengthSize !== 4) throw new Mp4Error("The video's NAL units have short lengths.");
  const pasp = listBoxes(buffer, inner.start, inner.end).find((box) => box.type === "pasp");
  return { record, config, pixelAspect: pasp === undefined ? null : parsePixelAspect(buffer, pasp) };
}

/** Reads the AAC description of a track. @throws Mp4Error if the track does not have exactly one */
export function parseAudioDescription(buffer: Buffer, stbl: Box): AacDescription {
  const entry = singleEntry(buffer, stbl, AUDIO_ENTRY_BYTES);
  if (entry.type !== "mp4a") throw new Mp4Error(`The audio is ${shownType(entry.type)}, not mp4a.`);
  if (buffer.readUInt16BE(entry.start + 8) !== 0) throw new Mp4Error("The audio has a QuickTime sample description.");
  const esds = needBox(buffer, { ...entry, start: entry.start + AUDIO_ENTRY_BYTES }, "esds", 4);
  const record = parseEsds(buffer, esds);
  return { record, config: codec(() => parseAacConfig(record)) };
}

const ENTRY_BYTES = { video: VISUAL_ENTRY_BYTES, audio: AUDIO_ENTRY_BYTES } as const;
/** The bytes that versions 1 and 2 of QuickTime's audio description add to the fields of version 0. */
const QUICKTIME_EXTRA_BYTES: Readonly<Record<number, number>> = { 1: 16, 2: 36 };
/** Formats of Apple's FairPlay, which has no scheme box. */
const FAIRPLAY = new Set(["drmi", "drms", "drmt"]);
const OBJECT_USAC = 42;

/**
 * Returns the name of a track's encryption scheme (ISO/IEC 14496-12, 8.12; ISO/IEC 23001-7), or undefined if the track
 * is not encrypted.
 *
 * @param entry the track's sample description
 */
export function encryptionOf(buffer: Buffer, entry: Box, kind: "video" | "audio"): string | undefined {
  if (FAIRPLAY.has(entry.type)) return "FairPlay";
  if (entry.type !== "encv" && entry.type !== "enca") return undefined;
  const sinf = lenientlyIn(buffer, { ...entry, start: entry.start + fieldBytes(buffer, entry, kind) }, "sinf");
  const schm = sinf === undefined ? undefined : lenientlyIn(buffer, sinf, "schm");
  if (schm === undefined || schm.end - schm.start < 8) return "an unknown scheme";
  return shownType(buffer.toString("latin1", schm.start + 4, schm.start + 8));
}

/**
 * Returns true if an audio description is one of USAC (ISO/IEC 23003-3). Returns false also if the description is
 * unreadable.
 */
export function isUsac(buffer: Buffer, entry: Box): boolean {
  if (entry.type !== "mp4a") return false;
  const inner = { ...entry, start: entry.start + fieldBytes(buffer, entry, "audio") };
  const esds = lenientlyIn(buffer, inner, "esds");
  try {
    const record = esds === undefined ? undefined : parseEsds(buffer, esds);
    if (record === undefined || record.length < 2) return false;
    const bits = record.readUInt16BE(0);
    const objectType = bits >> 11 === 31 ? 32 + ((bits >> 5) & 0x3f) : bits >> 11;
    return objectType === OBJECT_USAC;
  } catch (error) {
    if (error instanceof Mp4Error) return false;
    throw error;
  }
}

function fieldBytes(buffer: Buffer, entry: Box, kind: "video" | "audio"): number {
  if (entry.end - entry.start < ENTRY_BYTES[kind]) throw new Mp4Error("A sample description is too short.");
  const version = kind === "audio" ? buffer.readUInt16BE(entry.start + 8) : 0;
  return ENTRY_BYTES[kind] + (QUICKTIME_EXTRA_BYTES[version] ?? 0);
}

/**
 * Finds a box, or returns undefined if there is none or the boxes are damaged. A parser that needs the box reports the
 * damage itself.
 */
function lenientlyIn(buffer: Buffer, parent: Box, type: string): Box | undefined {
  try {
    return findBox(buffer, parent, type);
  } catch (error) {
    if (error instanceof Mp4Error) return undefined;
    throw error;
  }
}

function singleEntry(buffer: Buffer, stbl: Box, minBytes: number): Box {
  const stsd = needBox(buffer, stbl, "stsd", 8);
  const entries = listBoxes(buffer, stsd.start + 8, stsd.end);
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1) throw new Mp4Error("A track has several formats, or none.");
  if (entry.end - entry.start < minBytes) throw new Mp4Error("A sample description is too short.");
  return entry;
}

function parsePixelAspect(buffer: Buffer, pasp: Box): number | null {
  if (pasp.end - pasp.start < 8) throw new Mp4Error("The box pasp is too short.");
  const horizontal = buffer.readUInt32BE(pasp.start);
  const vertical = buffer.readUInt32BE(pasp.start + 4);
  return horizontal === 0 || vertical === 0 ? null : horizontal / vertical;
}

/** Returns the AudioSpecificConfig of an `esds` box (ISO/IEC 14496-1, 7.2.6.5 and 7.2.6.6; ISO/IEC 14496-14, 5.6). */
function parseEsds(buffer: Buffer, esds: Box): Buffer {
  const stream = descriptor(buffer, esds.start + 4, esds.end, TAG_ES);
  if (stream.end - stream.start < 3) throw new Mp4Error("The box esds is too short.");
  const flags = buffer.readUInt8(stream.start + 2);
  // MP4 files do not allow a stream that depends on another one, or has a URL or a separate clock reference.
  if ((flags & 0xe0) !== 0) throw new Mp4Error("The audio stream refers to another stream.");
  const decoder = descriptor(buffer, stream.start + 3, stream.end, TAG_DECODER_CONFIG);
  if (decoder.end - decoder.start < 13) throw new Mp4Error("The box esds is too short.");
  if (!AAC_OBJECTS.has(buffer.readUInt8(decoder.start))) throw new Mp4Error("The audio is mp4a, but not AAC.");
  const specific = descriptor(buffer, decoder.start + 13, decoder.end, TAG_DECODER_SPECIFIC);
  return buffer.subarray(specific.start, specific.end);
}

/** Reads a descriptor: a tag, a length in up to four bytes of seven bits (ISO/IEC 14496-1, 8.3.3), and the body. */
function descriptor(buffer: Buffer, start: number, end: number, tag: number): { start: number; end: number } {
  let position = start;
  if (position >= end || buffer.readUInt8(position) !== tag) throw new Mp4Error("The box esds has an unknown shape.");
  let length = 0;
  for (let count = 0; count < 4; count += 1) {
    position += 1;
    if (position >= end) break;
    const byte = buffer.readUInt8(position);
    length = (length << 7) | (byte & 0x7f);
    if ((byte & 0x80) === 0) {
      position += 1;
      if (length > end - position) break;
      return { start: position, end: position + length };
    }
  }
  throw new Mp4Error("A descriptor in the box esds has a wrong length.");
}

function codec<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof CodecError) throw new Mp4Error(cause.message, { cause });
    throw cause;
  }
}
