import type { Box } from "../../mp4/box.ts";

/** ffmpeg's codec names by the four-character code of a sample description. */
const FORMATS: Readonly<Record<string, string>> = {
  avc1: "h264",
  avc2: "h264",
  avc3: "h264",
  avc4: "h264",
  hvc1: "hevc",
  hev1: "hevc",
  dvh1: "hevc",
  dvhe: "hevc",
  vvc1: "vvc",
  vvi1: "vvc",
  av01: "av1",
  vp08: "vp8",
  vp09: "vp9",
  mp4v: "mpeg4",
  "ac-3": "ac3",
  "ec-3": "eac3",
  "ac-4": "ac4",
  Opus: "opus",
  fLaC: "flac",
  alac: "alac",
  ".mp3": "mp3",
  dtsc: "dts",
  dtse: "dts",
  dtsh: "dts",
  dtsl: "dts",
  dtsx: "dts",
  mhm1: "mpegh_3d_audio",
  mha1: "mpegh_3d_audio",
  wvtt: "webvtt",
  stpp: "ttml",
  tx3g: "mov_text",
  c608: "eia_608",
};

/**
 * ffmpeg's codec names by the objectTypeIndication of `mp4a` (ISO/IEC 14496-1, 7.2.6.6, and its registration
 * authority).
 */
const OBJECTS: Readonly<Record<number, string>> = {
  0x40: "aac",
  0x66: "aac",
  0x67: "aac",
  0x68: "aac",
  0x69: "mp3",
  0x6b: "mp3",
  0xa5: "ac3",
  0xa6: "eac3",
  0xa9: "dts",
  0xad: "opus",
  0xdd: "vorbis",
};

const ENCRYPTED = new Set(["encv", "enca", "enct", "encs", "drmi", "drms"]);
const TAG_ES = 3;
const TAG_DECODER_CONFIG = 4;

/**
 * Returns the codec of a sample description. For an encrypted one, it is the original codec (`frma`, ISO/IEC 14496-12,
 * 8.12.2).
 */
export function codecOfFormat(buffer: Buffer, entry: Box): string {
  const body = buffer.subarray(entry.start, entry.end);
  const original = ENCRYPTED.has(entry.type) ? behind(body, "frma") : -1;
  const format = original < 0 ? entry.type : body.toString("latin1", original, original + 4);
  if (format !== "mp4a") return FORMATS[format] ?? "unknown";
  return OBJECTS[objectTypeOf(body)] ?? "unknown";
}

/** Returns the position of the body of a box in a description, or -1 if the description has no such box. */
function behind(body: Buffer, type: string): number {
  const at = body.indexOf(type, 0, "latin1");
  return at < 0 ? -1 : at + 4;
}

function objectTypeOf(body: Buffer): number {
  const esds = behind(body, "esds");
  if (esds < 0) return -1;
  const stream = behindLength(body, esds + 4, TAG_ES);
  // The ES_ID and the flags are skipped, because they have no meaning in an MP4 file.
  const decoder = stream < 0 ? -1 : behindLength(body, stream + 3, TAG_DECODER_CONFIG);
  return decoder < 0 ? -1 : (body[decoder] ?? -1);
}

/** Skips a descriptor's length, which has up to four bytes of seven bits. */
function behindLength(body: Buffer, at: number, tag: number): number {
  if (body[at] !== tag) return -1;
  for (let next = at + 1; next <= at + 4; next += 1) if (((body[next] ?? 0) & 0x80) === 0) return next + 1;
  return -1;
}
