import { ADTS_HEADER_BYTES, parseAdtsHeader } from "../../media/codec/adts.ts";
import { mpegAudioFrameBytes } from "../../media/codec/mpeg-audio.ts";

export type ContainerFormat =
  | "mpegts"
  | "fmp4"
  | "mp4"
  | "adts"
  | "mp3"
  | "ac3"
  | "id3"
  | "webvtt"
  | "html"
  | "flv"
  | "unknown";

/** The most bytes of noise before the first packet of a transport stream. */
const MAX_NOISE_BYTES = 8 * 1024;
const TS_SYNC = 0x47;
const TS_PACKET_BYTES = 188;
const TS_STRIDES = [188, 192, 204];
const TS_SURE = 5;
const AC3_SYNC = 0x0b77;

const MARKUP = /^\s*<(?:!--|(?:!doctype|\?xml|html|head|body|title|meta|script|error)\b)/i;
/** Boxes that only occur at the beginning of a fragment (ISO/IEC 14496-12, 8.16; ISO/IEC 23009-1). */
const FRAGMENT_BOXES = new Set(["styp", "moof", "sidx", "ssix", "emsg", "prft"]);
const FILE_BOXES = new Set(["ftyp", "moov", "mdat", "free", "skip", "wide", "pnot", "uuid"]);

/**
 * Detects the container of a file or segment by its first bytes, never by its name. A few kilobytes are enough unless
 * the movie box is larger than that. `mp4` means that these bytes showed no sign of fragments. An ID3 tag gives `id3`,
 * whatever follows it. Pure.
 */
export function detectContainer(bytes: Buffer): ContainerFormat {
  const magic = bytes.toString("latin1", 0, 4);
  if (magic.startsWith("FLV")) return "flv";
  if (magic.startsWith("ID3")) return "id3";
  if (isTransportStream(bytes, 0)) return "mpegts";
  const text = detectText(bytes);
  if (text !== undefined) return text;
  return detectBoxes(bytes) ?? detectAudio(bytes) ?? detectBehindNoise(bytes);
}

function detectText(bytes: Buffer): "webvtt" | "html" | undefined {
  const text = bytes.toString("latin1", 0, 512).replace(/^\xef\xbb\xbf/, "");
  if (/^WEBVTT(?![^\s])/.test(text)) return "webvtt";
  // Markup here is an error page, or an XML error document such as object stores send.
  return MARKUP.test(text) ? "html" : undefined;
}

function detectBoxes(bytes: Buffer): "fmp4" | "mp4" | undefined {
  let known = false;
  for (let at = 0; at + 8 <= bytes.length; ) {
    const type = bytes.toString("latin1", at + 4, at + 8);
    if (FRAGMENT_BOXES.has(type)) return "fmp4";
    if (!FILE_BOXES.has(type)) break;
    known = true;
    const size = bytes.readUInt32BE(at);
    if (type === "moov") return isFragmented(bytes.subarray(at, size < 8 ? bytes.length : at + size)) ? "fmp4" : "mp4";
    // Size 0 means that the box extends to the end of the file. Size 1 means a 64-bit size: such a box is too large to
    // look past.
    if (size < 8) break;
    at += size;
  }
  return known ? "mp4" : undefined;
}

/**
 * Returns true if fragments follow: the box mvex announces them, or, if mvex is not among these bytes, the movie's
 * duration is 0.
 */
function isFragmented(moov: Buffer): boolean {
  if (moov.includes("mvex", 0, "latin1")) return true;
  const mvhd = moov.indexOf("mvhd", 0, "latin1");
  if (mvhd < 0 || mvhd + 24 > moov.length) return false;
  const long = moov.readUInt8(mvhd + 4) === 1;
  if (long) return mvhd + 36 <= moov.length && moov.readUInt32BE(mvhd + 28) === 0 && moov.readUInt32BE(mvhd + 32) === 0;
  return moov.readUInt32BE(mvhd + 20) === 0;
}

function detectAudio(bytes: Buffer): "adts" | "mp3" | "ac3" | undefined {
  const adts = parseAdtsHeader(bytes, 0);
  if (adts !== null) {
    const next = adts.frameBytes;
    if (next + ADTS_HEADER_BYTES > bytes.length || parseAdtsHeader(bytes, next) !== null) return "adts";
  }
  const frame = mpegAudioFrameBytes(bytes, 0);
  if (frame !== null && (frame + 4 > bytes.length || mpegAudioFrameBytes(bytes, frame) !== null)) return "mp3";
  return bytes.length >= 2 && bytes.readUInt16BE(0) === AC3_SYNC ? "ac3" : undefined;
}

function detectBehindNoise(bytes: Buffer): "mpegts" | "unknown" {
  const last = Math.min(MAX_NOISE_BYTES, bytes.length - 2 * TS_PACKET_BYTES);
  for (let at = 1; at < last; at += 1) if (isTransportStream(bytes, at)) return "mpegts";
  return "unknown";
}

/**
 * Returns true if a whole packet begins at the position, and the next few packets among the bytes begin with a sync
 * byte.
 */
function isTransportStream(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== TS_SYNC || at + TS_PACKET_BYTES > bytes.length) return false;
  return TS_STRIDES.some((stride) => {
    for (let packet = 1; packet < TS_SURE && at + packet * stride < bytes.length; packet += 1) {
      if (bytes[at + packet * stride] !== TS_SYNC) return false;
    }
    return true;
  });
}
