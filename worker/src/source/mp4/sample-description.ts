import { type AacConfig, parseAacConfig } from "../../codec/aac-config.ts";
import { type AvcConfig, parseAvcConfig } from "../../codec/avc-config.ts";
import { CodecError } from "../../codec/codec-error.ts";
import { type Box, listBoxes, needBox, shownType } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";

export interface AvcDescription {
  readonly record: Buffer;
  readonly config: AvcConfig;
  /** From `pasp`; null: the SPS is to say. */
  readonly pixelAspect: number | null;
}

export interface AacDescription {
  readonly record: Buffer;
  readonly config: AacConfig;
}

const VISUAL_ENTRY_BYTES = 78;
const AUDIO_ENTRY_BYTES = 28;
/** objectTypeIndication (ISO/IEC 14496-1, 7.2.6.6): MPEG-4 audio, and AAC of MPEG-2. */
const AAC_OBJECTS = new Set([0x40, 0x66, 0x67, 0x68]);
const TAG_ES = 3;
const TAG_DECODER_CONFIG = 4;
const TAG_DECODER_SPECIFIC = 5;

/** @throws Mp4Error for what is not one H.264 description with its parameter sets outside the samples. */
export function parseVideoDescription(buffer: Buffer, stbl: Box): AvcDescription {
  const entry = singleEntry(buffer, stbl, VISUAL_ENTRY_BYTES);
  // avc3 may change its parameter sets inside the samples.
  if (entry.type !== "avc1") throw new Mp4Error(`The video is ${shownType(entry.type)}, not avc1.`);
  const inner: Box = { ...entry, start: entry.start + VISUAL_ENTRY_BYTES };
  const avcc = needBox(buffer, inner, "avcC");
  const record = buffer.subarray(avcc.start, avcc.end);
  const config = codec(() => parseAvcConfig(record));
  // Receivers of FLV are known to assume 4.
  if (config.nalLengthSize !== 4) throw new Mp4Error("The video's NAL units have short lengths.");
  const pasp = listBoxes(buffer, inner.start, inner.end).find((box) => box.type === "pasp");
  return { record, config, pixelAspect: pasp === undefined ? null : parsePixelAspect(buffer, pasp) };
}

/** @throws Mp4Error for what is not one AAC description. */
export function parseAudioDescription(buffer: Buffer, stbl: Box): AacDescription {
  const entry = singleEntry(buffer, stbl, AUDIO_ENTRY_BYTES);
  if (entry.type !== "mp4a") throw new Mp4Error(`The audio is ${shownType(entry.type)}, not mp4a.`);
  if (buffer.readUInt16BE(entry.start + 8) !== 0) throw new Mp4Error("The audio is described in QuickTime's own way.");
  const esds = needBox(buffer, { ...entry, start: entry.start + AUDIO_ENTRY_BYTES }, "esds", 4);
  const record = parseEsds(buffer, esds);
  return { record, config: codec(() => parseAacConfig(record)) };
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

/** ISO/IEC 14496-1, 7.2.6.5 and 7.2.6.6; ISO/IEC 14496-14, 5.6. Gives the AudioSpecificConfig. */
function parseEsds(buffer: Buffer, esds: Box): Buffer {
  const stream = descriptor(buffer, esds.start + 4, esds.end, TAG_ES);
  if (stream.end - stream.start < 3) throw new Mp4Error("The box esds is too short.");
  const flags = buffer.readUInt8(stream.start + 2);
  // A stream that depends on another, or has a URL or a clock reference of its own, is not for MP4 files.
  if ((flags & 0xe0) !== 0) throw new Mp4Error("The audio stream refers to another.");
  const decoder = descriptor(buffer, stream.start + 3, stream.end, TAG_DECODER_CONFIG);
  if (decoder.end - decoder.start < 13) throw new Mp4Error("The box esds is too short.");
  if (!AAC_OBJECTS.has(buffer.readUInt8(decoder.start))) throw new Mp4Error("The audio is mp4a, but not AAC.");
  const specific = descriptor(buffer, decoder.start + 13, decoder.end, TAG_DECODER_SPECIFIC);
  return buffer.subarray(specific.start, specific.end);
}

/** A tag, a length in up to four bytes of seven bits (ISO/IEC 14496-1, 8.3.3), the body. */
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
