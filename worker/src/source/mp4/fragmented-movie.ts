import { encryptedSource } from "../encrypted-source.ts";
import { type Box, findBox, listBoxes, needBox } from "./box.ts";
import type { FragmentTrack } from "./fragment-header.ts";
import { Mp4Error } from "./mp4-error.ts";
import { listTracks, parseClock, type TrackHeader } from "./track-header.ts";

/** The contents of the `moov` box of a fragmented file, whose samples are listed in fragments. */
export interface FragmentedMovie {
  /** The whole `moov` box. A demuxer that begins with a later fragment needs it first. */
  readonly initialisation: Buffer;
  /** The first byte after the box in the file, where the first fragment or an index begins. */
  readonly mediaByte: number;
  readonly tracks: readonly Pick<
    TrackHeader,
    "id" | "index" | "kind" | "enabled" | "format" | "language" | "encryption" | "timescale"
  >[];
  /**
   * The track that is used to find positions: the first enabled video track, or else the first video or audio track, or
   * null if there is neither.
   */
  readonly clock: FragmentTrack | null;
  /** The duration from `mehd`, or null if the file does not say. */
  readonly durationMs: number | null;
}

/**
 * Reads the movie box of a fragmented file (ISO/IEC 14496-12, 8.8). Returns null if the file is not fragmented.
 *
 * @param moov the box's body
 * @param mediaByte the end of the box in the file, or null if media are before it
 * @throws Mp4Error if only a part of the samples is in fragments
 * @throws RoomcastError `FailedOperation.SourceUnsupported` if all tracks of a kind are encrypted
 */
export function parseFragmentedMovie(moov: Buffer, mediaByte: number | null): FragmentedMovie | null {
  const root: Box = { type: "moov", start: 0, end: moov.length };
  const mvex = findBox(moov, root, "mvex");
  if (mvex === undefined) return null;
  const tracks = listTracks(moov, root);
  if (mediaByte === null || tracks.some(({ stbl }) => hasSamples(moov, stbl))) {
    throw new Mp4Error("Only a part of the file is fragmented.");
  }
  refuseEncrypted(tracks);
  const main = tracks.find(({ kind, enabled }) => kind === "video" && enabled);
  const clock = main ?? tracks.find(({ kind }) => kind !== "other");
  const { timescale } = parseClock(moov, needBox(moov, root, "mvhd", 20));
  const header = Buffer.alloc(8);
  header.writeUInt32BE(moov.length + 8);
  header.write("moov", 4, "latin1");
  return {
    initialisation: Buffer.concat([header, moov]),
    mediaByte,
    tracks,
    clock: clock === undefined ? null : { ...defaultsOf(moov, mvex, clock.id), timescale: clock.timescale },
    durationMs: extendedDurationMs(moov, mvex, timescale),
  };
}

function hasSamples(moov: Buffer, stbl: Box): boolean {
  const stsz = findBox(moov, stbl, "stsz");
  return stsz !== undefined && stsz.end - stsz.start >= 12 && moov.readUInt32BE(stsz.start + 8) > 0;
}

/**
 * Refuses a file that cannot be played because it is encrypted. @throws RoomcastError if all tracks of a kind are
 * encrypted
 */
function refuseEncrypted(tracks: readonly TrackHeader[]): void {
  for (const kind of ["video", "audio"] as const) {
    const ofKind = tracks.filter((track) => track.kind === kind);
    const [scheme] = ofKind.flatMap(({ encryption }) => encryption ?? []);
    if (scheme !== undefined && ofKind.every(({ encryption }) => encryption !== undefined)) {
      throw encryptedSource(scheme);
    }
  }
}

function extendedDurationMs(moov: Buffer, mvex: Box, timescale: number): number | null {
  const mehd = findBox(moov, mvex, "mehd");
  if (mehd === undefined || mehd.end - mehd.start < 8) return null;
  const long = moov.readUInt8(mehd.start) === 1 && mehd.end - mehd.start >= 12;
  const duration = long ? Number(moov.readBigUInt64BE(mehd.start + 4)) : moov.readUInt32BE(mehd.start + 4);
  return duration === 0 ? null : (duration * 1000) / timescale;
}

function defaultsOf(moov: Buffer, mvex: Box, id: number): Omit<FragmentTrack, "timescale"> {
  const trex = listBoxes(moov, mvex.start, mvex.end).find(
    (box) => box.type === "trex" && box.end - box.start >= 24 && moov.readUInt32BE(box.start + 4) === id,
  );
  if (trex === undefined) return { id, defaultDuration: 0, defaultFlags: 0 };
  return {
    id,
    defaultDuration: moov.readUInt32BE(trex.start + 12),
    defaultFlags: moov.readUInt32BE(trex.start + 20),
  };
}
