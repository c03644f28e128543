import { type Box, findBox, listBoxes, needBox } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";

/** The track that is used to find positions in a fragmented file. */
export interface FragmentTrack {
  /** The `track_ID` of ISO/IEC 14496-12. */
  readonly id: number;
  /** Units of the track's clock in a second. */
  readonly timescale: number;
  /** The default duration and flags of the track's samples, from `trex` (ISO/IEC 14496-12, 8.8.3). */
  readonly defaultDuration: number;
  readonly defaultFlags: number;
}

/** The times of one track in a fragment. */
export interface FragmentTimes {
  /** The decode time of the first sample, in the track's time scale. */
  readonly start: number;
  readonly duration: number;
  /** True if the fragment begins with a sync sample. */
  readonly sync: boolean;
  /** True if the fragment has a sync sample anywhere. */
  readonly holdsSync: boolean;
}

/** An entry of the file's own index of fragments. The time is in the track's time scale. */
export interface FragmentPointer {
  readonly time: number;
  readonly startByte: number;
}

const NON_SYNC = 0x0001_0000;
const MAX_RUNS = 1024;
const MAX_POINTERS = 1_000_000;

/**
 * Reads the times of one track from a `moof` box (8.8.4).
 *
 * @param moof the box's body
 * @returns null if the fragment has no samples of the track, or no decode time
 * @throws Mp4Error if the box is malformed
 */
export function readFragment(moof: Buffer, track: FragmentTrack): FragmentTimes | null {
  for (const traf of listBoxes(moof, 0, moof.length).filter((box) => box.type === "traf")) {
    const tfhd = needBox(moof, traf, "tfhd", 8);
    if (moof.readUInt32BE(tfhd.start + 4) !== track.id) continue;
    const tfdt = findBox(moof, traf, "tfdt");
    if (tfdt === undefined) return null;
    const long = need(moof, tfdt, 8) && moof.readUInt8(tfdt.start) === 1;
    const start = long ? Number(need(moof, tfdt, 12) && moof.readBigUInt64BE(tfdt.start + 4)) : u32(moof, tfdt, 4);
    return { start, ...readRuns(moof, traf, readDefaults(moof, tfhd, track)) };
  }
  return null;
}

/**
 * Adds a value to the decode times of a track in a `moof` box (8.8.12), in place. A 32-bit time that would no longer
 * fit its field is left unchanged.
 *
 * @param moof the box's body
 * @param by the value to add, in the track's time scale
 * @throws Mp4Error if the box is malformed
 */
export function shiftDecodeTimes(moof: Buffer, { id }: Pick<FragmentTrack, "id">, by: number): void {
  if (by === 0) return;
  for (const traf of listBoxes(moof, 0, moof.length).filter((box) => box.type === "traf")) {
    const tfhd = needBox(moof, traf, "tfhd", 8);
    const tfdt = findBox(moof, traf, "tfdt");
    if (tfdt === undefined || moof.readUInt32BE(tfhd.start + 4) !== id) continue;
    const at = tfdt.start + 4;
    if (need(moof, tfdt, 8) && moof.readUInt8(tfdt.start) === 1) {
      need(moof, tfdt, 12);
      moof.writeBigUInt64BE(BigInt.asUintN(64, moof.readBigUInt64BE(at) + BigInt(by)), at);
    } else {
      const time = moof.readUInt32BE(at) + by;
      if (time >= 0 && time < 2 ** 32) moof.writeUInt32BE(time, at);
    }
  }
}

interface Defaults {
  readonly duration: number;
  readonly flags: number;
}

/**
 * Reads the defaults of a fragment (8.8.7). The box contains only the fields that its flags announce, one after
 * another.
 */
function readDefaults(moof: Buffer, tfhd: Box, track: FragmentTrack): Defaults {
  const flags = u32(moof, tfhd, 0) & 0xff_ffff;
  let at = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0);
  const duration = flags & 0x8 ? u32(moof, tfhd, at) : track.defaultDuration;
  at += (flags & 0x8 ? 4 : 0) + (flags & 0x10 ? 4 : 0);
  return { duration, flags: flags & 0x20 ? u32(moof, tfhd, at) : track.defaultFlags };
}

/** Reads the runs of a fragment (8.8.8). */
function readRuns(moof: Buffer, traf: Box, defaults: Defaults): Pick<FragmentTimes, "duration" | "sync" | "holdsSync"> {
  let duration = 0;
  let sync: boolean | undefined;
  let holdsSync = false;
  const runs = listBoxes(moof, traf.start, traf.end).filter((box) => box.type === "trun");
  for (const trun of runs.slice(0, MAX_RUNS)) {
    const flags = u32(moof, trun, 0) & 0xff_ffff;
    const count = u32(moof, trun, 4);
    let at = 8 + (flags & 0x1 ? 4 : 0);
    const firstFlags = flags & 0x4 ? u32(moof, trun, at) : undefined;
    at += flags & 0x4 ? 4 : 0;
    const entryBytes = [0x100, 0x200, 0x400, 0x800].filter((one) => flags & one).length * 4;
    if (entryBytes > 0 && count > (trun.end - trun.start - at) / entryBytes) throw new Mp4Error("A run is too long.");
    const flagsAt = at + (flags & 0x100 ? 4 : 0) + (flags & 0x200 ? 4 : 0);
    if (count > 0) {
      sync ??= ((firstFlags ?? (flags & 0x400 ? u32(moof, trun, flagsAt) : defaults.flags)) & NON_SYNC) === 0;
    }
    if (flags & 0x400) {
      for (let one = 0; one < count; one += 1) {
        holdsSync ||= (u32(moof, trun, flagsAt + one * entryBytes) & NON_SYNC) === 0;
      }
    }
    if (flags & 0x100) for (let one = 0; one < count; one += 1) duration += u32(moof, trun, at + one * entryBytes);
    else duration += count * defaults.duration;
  }
  return { duration, sync: sync ?? false, holdsSync: holdsSync || sync === true };
}

/**
 * Reads the positions of fragments from a `sidx` box (8.16.3).
 *
 * @param sidx the box's body
 * @param endByte the end of the box in the file
 * @returns an empty list if the box refers to other indexes
 */
export function readSegmentIndex(sidx: Buffer, endByte: number, track: FragmentTrack): FragmentPointer[] {
  const box: Box = { type: "sidx", start: 0, end: sidx.length };
  const long = u32(sidx, box, 0) >>> 24 > 0;
  const timescale = u32(sidx, box, 8);
  if (timescale === 0) throw new Mp4Error("The box sidx has no time scale.");
  need(sidx, box, long ? 32 : 24);
  let time = long ? Number(sidx.readBigUInt64BE(12)) : u32(sidx, box, 12);
  let startByte = endByte + (long ? Number(sidx.readBigUInt64BE(20)) : u32(sidx, box, 16));
  const countAt = long ? 30 : 22;
  const count = sidx.readUInt16BE(countAt);
  need(sidx, box, countAt + 2 + count * 12);
  const pointers: FragmentPointer[] = [];
  const scaled = (value: number) => (value * track.timescale) / timescale;
  for (let index = 0; index < count; index += 1) {
    const at = countAt + 2 + index * 12;
    const reference = u32(sidx, box, at);
    if (reference >>> 31 === 1) return [];
    pointers.push({ time: scaled(time), startByte });
    startByte += reference;
    time += u32(sidx, box, at + 4);
  }
  return pointers;
}

/**
 * Reads the positions of a track's fragments from an `mfra` box (8.8.9).
 *
 * @param mfra the box's body
 */
export function readRandomAccess(mfra: Buffer, track: FragmentTrack): FragmentPointer[] {
  for (const tfra of listBoxes(mfra, 0, mfra.length).filter((box) => box.type === "tfra")) {
    if (u32(mfra, tfra, 4) !== track.id) continue;
    const long = mfra.readUInt8(tfra.start) === 1;
    const numberBytes = [4, 2, 0].reduce((sum, shift) => sum + ((u32(mfra, tfra, 8) >> shift) & 3) + 1, 0);
    const entryBytes = (long ? 16 : 8) + numberBytes;
    const count = u32(mfra, tfra, 12);
    if (count > MAX_POINTERS) throw new Mp4Error("The box tfra is too long.");
    need(mfra, tfra, 16 + count * entryBytes);
    return Array.from({ length: count }, (_, index) => {
      const at = tfra.start + 16 + index * entryBytes;
      return long
        ? { time: Number(mfra.readBigUInt64BE(at)), startByte: Number(mfra.readBigUInt64BE(at + 8)) }
        : { time: mfra.readUInt32BE(at), startByte: mfra.readUInt32BE(at + 4) };
    });
  }
  return [];
}

function u32(buffer: Buffer, box: Box, at: number): number {
  need(buffer, box, at + 4);
  return buffer.readUInt32BE(box.start + at);
}

function need(buffer: Buffer, { type, start, end }: Box, bytes: number): boolean {
  if (start + bytes > Math.min(end, buffer.length)) throw new Mp4Error(`The box ${type} is too short.`);
  return true;
}
