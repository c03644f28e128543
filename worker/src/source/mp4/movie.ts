import { type Box, findBox, listBoxes, needBox } from "./box.ts";
import { type EditStart, parseEditList } from "./edit-list.ts";
import { Mp4Error } from "./mp4-error.ts";
import {
  type AacDescription,
  type AvcDescription,
  parseAudioDescription,
  parseVideoDescription,
} from "./sample-description.ts";
import { parseSampleTable, type SampleTable } from "./sample-table.ts";

interface Timed {
  readonly table: SampleTable;
  /** Units of the track's clock in a second. */
  readonly timescale: number;
  /** What is added to decode times (ms) to make them positions in the presentation. */
  readonly shiftMs: number;
}

export type VideoTrack = Timed & { readonly description: AvcDescription; readonly rotation: 0 | 90 | 180 | 270 };
export type AudioTrack = Timed & { readonly description: AacDescription };

/** What a `moov` box holds, as far as it is played: the default video and audio track. */
export interface Movie {
  /** null: the file does not say. */
  readonly durationMs: number | null;
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
}

const MAX_TRACKS = 64;
const TRACK_ENABLED = 1;
const SELF_CONTAINED = 1;
/** An edit that leaves out less at the end is padding. */
const END_TOLERANCE_MS = 100;
/** Encoder delay: 2112 samples at 44.1 kHz are 48 ms, HE-AAC doubles that. */
const MAX_PRIMING_MS = 200;

/**
 * Reads a movie box (ISO/IEC 14496-12, 8.2) that fills the buffer, which the tracks keep referring to.
 *
 * @param moov the box's body
 * @throws Mp4Error for what is not played here
 */
export function parseMovie(moov: Buffer): Movie {
  const root: Box = { type: "moov", start: 0, end: moov.length };
  const boxes = listBoxes(moov, 0, moov.length);
  if (boxes.some((box) => box.type === "mvex")) throw new Mp4Error("The file is fragmented.");
  if (boxes.some((box) => box.type === "cmov")) throw new Mp4Error("The file's index is compressed.");
  const clock = parseClock(moov, needBox(moov, root, "mvhd", 20));
  const traks = boxes.filter((box) => box.type === "trak");
  if (traks.length > MAX_TRACKS) throw new Mp4Error("The file has too many tracks.");
  const video = chooseTrack(moov, traks, "vide");
  const audio = chooseTrack(moov, traks, "soun");
  return {
    durationMs: clock.duration === 0 ? null : (clock.duration * 1000) / clock.timescale,
    video: video === undefined ? null : parseVideoTrack(moov, video, clock.timescale),
    audio: audio === undefined ? null : parseAudioTrack(moov, audio, clock.timescale),
  };
}

/** mvhd and mdhd begin alike: version, two dates, time scale, duration. A duration of all ones is unknown. */
function parseClock(moov: Buffer, box: Box): { timescale: number; duration: number } {
  const long = moov.readUInt8(box.start) === 1;
  if (box.end - box.start < (long ? 32 : 20)) throw new Mp4Error(`The box ${box.type} is too short.`);
  const timescale = moov.readUInt32BE(box.start + (long ? 20 : 12));
  if (timescale === 0) throw new Mp4Error(`The box ${box.type} has no time scale.`);
  const duration = long ? Number(moov.readBigUInt64BE(box.start + 24)) : moov.readUInt32BE(box.start + 16);
  const unknown = duration === 0xffff_ffff || duration > Number.MAX_SAFE_INTEGER;
  return { timescale, duration: unknown ? 0 : duration };
}

/** The first enabled track of a kind, as ffmpeg's default is; without an enabled one, the first. */
function chooseTrack(moov: Buffer, traks: readonly Box[], handler: string): Box | undefined {
  const ofKind = traks.filter((trak) => {
    const hdlr = needBox(moov, needBox(moov, trak, "mdia"), "hdlr", 12);
    return moov.toString("latin1", hdlr.start + 8, hdlr.start + 12) === handler;
  });
  const enabled = ofKind.find((trak) => {
    const tkhd = needBox(moov, trak, "tkhd", 4);
    return (moov.readUInt32BE(tkhd.start) & TRACK_ENABLED) !== 0;
  });
  return enabled ?? ofKind[0];
}

interface TrackParts {
  readonly stbl: Box;
  readonly table: SampleTable;
  readonly timescale: number;
  readonly edit: EditStart;
}

function parseParts(moov: Buffer, trak: Box): TrackParts {
  const mdia = needBox(moov, trak, "mdia");
  const { timescale } = parseClock(moov, needBox(moov, mdia, "mdhd", 20));
  const minf = needBox(moov, mdia, "minf");
  checkDataReference(moov, minf);
  const stbl = needBox(moov, minf, "stbl");
  return { stbl, table: parseSampleTable(moov, stbl), timescale, edit: parseEditList(moov, trak) };
}

/** 8.7.2: the media may lie in another file, whose offsets mean nothing in this one. */
function checkDataReference(moov: Buffer, minf: Box): void {
  const dinf = findBox(moov, minf, "dinf");
  const dref = dinf === undefined ? undefined : needBox(moov, dinf, "dref", 8);
  if (dref === undefined) return;
  for (const entry of listBoxes(moov, dref.start + 8, dref.end)) {
    const external = entry.end - entry.start < 4 || (moov.readUInt32BE(entry.start) & SELF_CONTAINED) === 0;
    if (external) throw new Mp4Error("The media lie in another file.");
  }
}

function parseVideoTrack(moov: Buffer, trak: Box, movieTimescale: number): VideoTrack {
  const parts = parseParts(moov, trak);
  const { table, timescale, edit } = parts;
  const description = parseVideoDescription(moov, parts.stbl);
  // One offset for all frames moves the whole track; with B-frames (offsets differ) the shift is the first frame's.
  const leadMs = ((table.minComposition - edit.mediaTime) * 1000) / timescale;
  const frameMs = (table.duration * 1000) / timescale / table.sampleCount;
  const constant = table.minComposition === table.maxComposition;
  if (constant && leadMs < -frameMs) throw new Mp4Error("The edit list cuts the video's beginning.");
  checkEnd(parts, movieTimescale);
  const shiftMs = (edit.emptyDuration * 1000) / movieTimescale + leadMs;
  return { table, timescale, shiftMs, description, rotation: parseRotation(moov, needBox(moov, trak, "tkhd")) };
}

function parseAudioTrack(moov: Buffer, trak: Box, movieTimescale: number): AudioTrack {
  const parts = parseParts(moov, trak);
  const { table, timescale, edit } = parts;
  const description = parseAudioDescription(moov, parts.stbl);
  const primingMs = (edit.mediaTime * 1000) / timescale;
  if (primingMs > MAX_PRIMING_MS) throw new Mp4Error("The edit list cuts the audio's beginning.");
  checkEnd(parts, movieTimescale);
  return { table, timescale, shiftMs: (edit.emptyDuration * 1000) / movieTimescale - primingMs, description };
}

function checkEnd({ table, timescale, edit }: TrackParts, movieTimescale: number): void {
  if (edit.duration === 0) return;
  const mediaMs = ((table.duration - edit.mediaTime) * 1000) / timescale;
  const playedMs = (edit.duration * 1000) / movieTimescale;
  if (mediaMs - playedMs > END_TOLERANCE_MS) throw new Mp4Error("The edit list cuts a track's end.");
}

/** 8.3.2: the matrix {a b u, c d v, x y w}; a and d are cosines, b and c sines, in 16.16. */
function parseRotation(moov: Buffer, tkhd: Box): 0 | 90 | 180 | 270 {
  const at = tkhd.start + (moov.readUInt8(tkhd.start) === 1 ? 52 : 40);
  if (at + 36 > tkhd.end) throw new Mp4Error("The box tkhd is too short.");
  const signs = [0, 4, 12, 16].map((field) => Math.sign(moov.readInt32BE(at + field))).join();
  switch (signs) {
    case "1,0,0,1":
      return 0;
    case "0,1,-1,0":
      return 90;
    case "-1,0,0,-1":
      return 180;
    case "0,-1,1,0":
      return 270;
    default:
      throw new Mp4Error("The picture is mirrored or turned by an odd angle.");
  }
}
