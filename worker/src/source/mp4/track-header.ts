import { type Box, findBox, listBoxes, needBox, shownType } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";
import { encryptionOf, isUsac } from "./sample-description.ts";

/** The properties of a track that can be read without its samples. */
export interface TrackHeader {
  readonly trak: Box;
  readonly stbl: Box;
  /** The number of the track among all tracks of the file, from 0. */
  readonly index: number;
  /** The `track_ID` of ISO/IEC 14496-12. */
  readonly id: number;
  readonly kind: "video" | "audio" | "other";
  readonly enabled: boolean;
  /** Units of the track's clock in a second. */
  readonly timescale: number;
  /** The language as an ISO 639 or BCP 47 code, or undefined if the file does not say. */
  readonly language: string | undefined;
  /** The four-character code of the first sample description. */
  readonly format: string;
  /** True if the track has the titles or pictures of chapters instead of a video. */
  readonly still: boolean;
  /** The encryption scheme (`cenc`, `cbcs`, …), or undefined if the track is not encrypted. */
  readonly encryption: string | undefined;
  /** True for unified speech and audio coding (USAC), which is sold as xHE-AAC. */
  readonly usac: boolean;
}

const MAX_TRACKS = 64;
const TRACK_ENABLED = 1;
const KINDS: Readonly<Record<string, TrackHeader["kind"]>> = { vide: "video", soun: "audio" };

/**
 * Lists the tracks of a movie.
 *
 * @throws Mp4Error if the tracks are malformed, or if their numbers would differ from ffmpeg's
 */
export function listTracks(moov: Buffer, root: Box): TrackHeader[] {
  const boxes = listBoxes(moov, root.start, root.end);
  const traks = boxes.filter((box) => box.type === "trak");
  if (traks.length > MAX_TRACKS) throw new Mp4Error("The file has too many tracks.");
  const lastTrack = traks.at(-1)?.start ?? 0;
  if (boxes.some((box) => box.type === "udta" && box.start < lastTrack && holdsCover(moov, box))) {
    throw new Mp4Error("A cover picture is before the tracks, so ffmpeg counts it as one of them.");
  }
  const chapters = new Set(traks.flatMap((trak) => chaptersOf(moov, trak)));
  return traks.map((trak, index) => {
    const header = readHeader(moov, trak, index);
    return { ...header, still: chapters.has(header.id) };
  });
}

function holdsCover(moov: Buffer, { start, end }: Box): boolean {
  return moov.subarray(start, end).includes("covr", 0, "latin1");
}

function readHeader(moov: Buffer, trak: Box, index: number): Omit<TrackHeader, "still"> {
  const mdia = needBox(moov, trak, "mdia");
  const hdlr = needBox(moov, mdia, "hdlr", 12);
  const kind = KINDS[moov.toString("latin1", hdlr.start + 8, hdlr.start + 12)] ?? "other";
  const tkhd = needBox(moov, trak, "tkhd", 24);
  const long = moov.readUInt8(tkhd.start) === 1;
  const mdhd = needBox(moov, mdia, "mdhd", 20);
  const stbl = needBox(moov, needBox(moov, mdia, "minf"), "stbl");
  const entry = firstEntry(moov, stbl);
  return {
    trak,
    stbl,
    index,
    id: moov.readUInt32BE(tkhd.start + (long ? 20 : 12)),
    kind,
    enabled: (moov.readUInt32BE(tkhd.start) & TRACK_ENABLED) !== 0,
    timescale: parseClock(moov, mdhd).timescale,
    language: languageOf(moov, mdia, mdhd),
    format: entry === undefined ? "none" : shownType(entry.type),
    encryption: entry === undefined || kind === "other" ? undefined : encryptionOf(moov, entry, kind),
    usac: entry !== undefined && kind === "audio" && isUsac(moov, entry),
  };
}

function firstEntry(moov: Buffer, stbl: Box): Box | undefined {
  const stsd = needBox(moov, stbl, "stsd", 8);
  return listBoxes(moov, stsd.start + 8, stsd.end)[0];
}

/**
 * Reads the time scale and duration of mvhd or mdhd, which both begin with version, two dates, time scale and duration.
 * A duration of all ones means unknown, and becomes 0.
 */
export function parseClock(moov: Buffer, box: Box): { timescale: number; duration: number } {
  const long = moov.readUInt8(box.start) === 1;
  if (box.end - box.start < (long ? 32 : 20)) throw new Mp4Error(`The box ${box.type} is too short.`);
  const timescale = moov.readUInt32BE(box.start + (long ? 20 : 12));
  if (timescale === 0) throw new Mp4Error(`The box ${box.type} has no time scale.`);
  const duration = long ? Number(moov.readBigUInt64BE(box.start + 24)) : moov.readUInt32BE(box.start + 16);
  const unknown = duration === 0xffff_ffff || duration > Number.MAX_SAFE_INTEGER;
  return { timescale, duration: unknown ? 0 : duration };
}

/**
 * Reads the language from elng (8.4.6, a BCP 47 tag), or else from mdhd (8.4.2, three letters of five bits plus 0x60).
 */
function languageOf(moov: Buffer, mdia: Box, mdhd: Box): string | undefined {
  const elng = findBox(moov, mdia, "elng");
  if (elng !== undefined && elng.end - elng.start > 4) {
    const tag = moov.toString("latin1", elng.start + 4, Math.min(elng.end, elng.start + 68)).replace(/\0.*$/s, "");
    if (/^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$/.test(tag)) return tag;
  }
  const at = mdhd.start + (moov.readUInt8(mdhd.start) === 1 ? 32 : 20);
  if (at + 2 > mdhd.end) return undefined;
  const packed = moov.readUInt16BE(at);
  const letters = [10, 5, 0].map((shift) => String.fromCharCode(((packed >> shift) & 0x1f) + 0x60)).join("");
  return /^[a-z]{3}$/.test(letters) && letters !== "und" ? letters : undefined;
}

/** Returns the ids of the tracks with titles and pictures of chapters, from QuickTime's track reference `chap`. */
function chaptersOf(moov: Buffer, trak: Box): number[] {
  const tref = findBox(moov, trak, "tref");
  const chap = tref === undefined ? undefined : findBox(moov, tref, "chap");
  if (chap === undefined) return [];
  const count = Math.min(MAX_TRACKS, Math.floor((chap.end - chap.start) / 4));
  return Array.from({ length: count }, (_, at) => moov.readUInt32BE(chap.start + at * 4));
}
