import { type Box, listBoxes } from "../../mp4/box.ts";
import { DemuxError } from "../demuxer.ts";
import type { FragmentedTrack } from "./init-segment.ts";

/** A chosen track with the state of its clock. */
export interface FragmentLane {
  readonly source: FragmentedTrack;
  /** The decode time of the next sample in the track's time scale, used if a fragment does not give a time. */
  nextTime: number;
  /**
   * The time by which decode times are moved back so that no picture is shown before it is decoded, in the track's time
   * scale.
   */
  delay: number;
}

export interface FragmentSample<Lane extends FragmentLane> {
  readonly lane: Lane;
  /** The position of the sample's data, counted like the fragment's position. */
  readonly position: number;
  readonly size: number;
  readonly dtsMs: number;
  readonly ptsMs: number;
}

interface ReadSample<Lane extends FragmentLane> {
  readonly lane: Lane;
  readonly position: number;
  readonly size: number;
  readonly decodeTime: number;
  readonly composition: number;
}

interface Fragment<Lane extends FragmentLane> {
  readonly moof: Buffer;
  readonly position: number;
  readonly lanes: ReadonlyMap<number, Lane>;
  readonly samples: ReadSample<Lane>[];
  /** The shift from offsets in the file to positions in the received bytes; undefined before the first fragment. */
  shift?: number;
}

/** Flags of `tfhd`, 8.8.7. */
const TFHD = { baseOffset: 0x1, description: 0x2, duration: 0x8, size: 0x10, flags: 0x20, baseIsMoof: 0x2_0000 };
/** Flags of `trun`, 8.8.8. */
const TRUN = { dataOffset: 0x1, firstFlags: 0x4, duration: 0x100, size: 0x200, flags: 0x400, composition: 0x800 };
/** The most samples in a fragment. An hour of one track has fewer. */
const MAX_SAMPLES = 500_000;
/**
 * The most samples of a run that does not describe each sample. A hostile sender could claim any number of them with a
 * few bytes.
 */
const MAX_ALIKE = 2000;
const BOX_HEADER_BYTES = 8;

/**
 * Returns the samples of the chosen tracks in one `moof` (ISO/IEC 14496-12, 8.8.4), in the order of its runs.
 *
 * @param moof the box with its header; it begins at `position`
 * @throws Mp4Error if the box is broken, DemuxError if it has too many samples
 */
export function parseMovieFragment<Lane extends FragmentLane>(
  moof: Buffer,
  position: number,
  lanes: ReadonlyMap<number, Lane>,
): FragmentSample<Lane>[] {
  const fragment: Fragment<Lane> = { moof, position, lanes, samples: [] };
  let implicitBase = position;
  for (const box of listBoxes(moof, BOX_HEADER_BYTES, moof.length)) {
    if (box.type === "traf") implicitBase = readTrackFragment(fragment, box, implicitBase);
  }
  // Negative composition times (8.6.1.3.1) are balanced by moving the decode times, not the presentation times.
  for (const { lane, composition } of fragment.samples) lane.delay = Math.max(lane.delay, -composition);
  return fragment.samples.map(({ lane, decodeTime, composition, ...place }) => {
    const { timescale, shiftMs } = lane.source;
    const ms = (time: number) => (time * 1000) / timescale + shiftMs;
    return { lane, ...place, dtsMs: ms(decodeTime - lane.delay), ptsMs: ms(decodeTime + composition) };
  });
}

/**
 * Reads the part of a fragment that belongs to one track. @returns the end of its data, where the next track's data
 * begin by default
 */
function readTrackFragment<Lane extends FragmentLane>(
  fragment: Fragment<Lane>,
  traf: Box,
  implicitBase: number,
): number {
  const { moof, position } = fragment;
  const boxes = listBoxes(moof, traf.start, traf.end);
  const tfhd = boxes.find(({ type }) => type === "tfhd");
  if (tfhd === undefined || tfhd.end - tfhd.start < 8) return implicitBase;
  const fields = new Fields(moof, tfhd.start, tfhd.end);
  const flags = fields.next() & 0xff_ffff;
  const lane = fragment.lanes.get(fields.next());
  let base = (flags & TFHD.baseIsMoof) !== 0 ? position : implicitBase;
  if ((flags & TFHD.baseOffset) !== 0) base = placed(fields.next() * 2 ** 32 + fields.next(), fragment);
  if ((flags & TFHD.description) !== 0) fields.next();
  const duration = (flags & TFHD.duration) !== 0 ? fields.next() : lane?.source.defaults.duration;
  const size = (flags & TFHD.size) !== 0 ? fields.next() : lane?.source.defaults.size;
  const tfdt = boxes.find(({ type }) => type === "tfdt");
  if (lane !== undefined && tfdt !== undefined) lane.nextTime = readDecodeTime(moof, tfdt) ?? lane.nextTime;
  let end = base;
  for (const box of boxes) {
    if (box.type === "trun") {
      end = readRun(fragment, { box, lane, base, start: end, duration: duration ?? 0, size: size ?? 0 });
    }
  }
  return end;
}

/**
 * Converts an offset in the file to a position in the received bytes. Both are equal if the file is read from its
 * beginning. A file that was cut into segments, or is read from the middle, keeps the offsets of the whole file. In
 * this case the first offset of a fragment must mean the fragment itself.
 */
function placed<Lane extends FragmentLane>(offset: number, fragment: Fragment<Lane>): number {
  const { moof, position } = fragment;
  const behindMoof = position + moof.length + BOX_HEADER_BYTES;
  fragment.shift ??= offset === position || offset === behindMoof ? 0 : position - offset;
  return offset + fragment.shift;
}

/** Reads the decode time of the fragment (`tfdt`, 8.8.12). */
function readDecodeTime(moof: Buffer, { start, end }: Box): number | null {
  const fields = new Fields(moof, start, end);
  const long = fields.next() >>> 24 === 1;
  if (end - start < (long ? 12 : 8)) return null;
  return long ? fields.next() * 2 ** 32 + fields.next() : fields.next();
}

interface Run<Lane extends FragmentLane> {
  readonly box: Box;
  readonly lane: Lane | undefined;
  readonly base: number;
  /** The beginning of the run's data if the run does not give it. */
  readonly start: number;
  readonly duration: number;
  readonly size: number;
}

/** Reads the samples of one run. @returns the end of the run's data */
function readRun<Lane extends FragmentLane>(fragment: Fragment<Lane>, run: Run<Lane>): number {
  const { lane, box } = run;
  const { moof, position, samples } = fragment;
  if (box.end - box.start < 8) return run.start;
  const fields = new Fields(moof, box.start, box.end);
  const flags = fields.next() & 0xff_ffff;
  const count = fields.next();
  let at = run.start;
  if ((flags & TRUN.dataOffset) !== 0) at = run.base + (fields.next() | 0);
  // A run without an offset cannot have its data at the beginning of the index (`moof`), so they begin after the index.
  else if (at === position) at = position + moof.length + BOX_HEADER_BYTES;
  if ((flags & TRUN.firstFlags) !== 0) fields.next();
  const perSample = [TRUN.duration, TRUN.size, TRUN.flags, TRUN.composition].filter(
    (bit) => (flags & bit) !== 0,
  ).length;
  const most = perSample === 0 ? MAX_ALIKE : Math.floor(fields.left / (4 * perSample));
  if (samples.length + Math.min(count, most) > MAX_SAMPLES) throw new DemuxError("A fragment has too many samples.");
  for (let index = 0; index < count && index < most; index += 1) {
    const duration = (flags & TRUN.duration) !== 0 ? fields.next() : run.duration;
    const size = (flags & TRUN.size) !== 0 ? fields.next() : run.size;
    if ((flags & TRUN.flags) !== 0) fields.next();
    // The specification says unsigned in version 0, but some muxers write negative values there.
    const composition = (flags & TRUN.composition) !== 0 ? fields.next() | 0 : 0;
    if (lane !== undefined) {
      if (size > 0) samples.push({ lane, position: at, size, decodeTime: lane.nextTime, composition });
      lane.nextTime += duration;
    }
    at += size;
  }
  return at;
}

/** Reads 32-bit fields one after another. A field after the end reads as 0. */
class Fields {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  next(): number {
    if (this.#at + 4 > this.#end) return 0;
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }
}
