import { type Box, findBox, needBox } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";

/** A table as it lies in the file: `count` entries from `at` on. No object per entry. */
export interface TableView {
  readonly at: number;
  readonly count: number;
}

/** The sample tables of one track (ISO/IEC 14496-12, 8.6 and 8.7), checked to agree on the number of samples. */
export interface SampleTable {
  readonly buffer: Buffer;
  readonly sampleCount: number;
  /** Size of every sample, bytes; 0: see `sizes`. */
  readonly fixedSize: number;
  readonly sizes: TableView;
  /** stts: pairs of count and duration. */
  readonly durations: TableView;
  /** ctts: pairs of count and offset; null: presentation is decode time. */
  readonly compositions: TableView | null;
  /** stsc: triples of first chunk, samples per chunk, description. */
  readonly chunkRuns: TableView;
  readonly chunkOffsets: TableView;
  readonly longOffsets: boolean;
  /** stss: numbers of the sync samples, from 1, rising; null: every sample is one. */
  readonly syncSamples: TableView | null;
  /** Sum of all durations, in the track's time scale. */
  readonly duration: number;
  /** The smallest and the largest composition offset, in the track's time scale. */
  readonly minComposition: number;
  readonly maxComposition: number;
}

/** More samples than a day of 60 fps video and 48 kHz AAC has. It bounds the walk where all samples have one size. */
const MAX_SAMPLES = 16_000_000;

/** @throws Mp4Error for tables that do not fit their boxes, or contradict each other. */
export function parseSampleTable(buffer: Buffer, stbl: Box): SampleTable {
  const stsz = needBox(buffer, stbl, "stsz", 12);
  const fixedSize = buffer.readUInt32BE(stsz.start + 4);
  const sampleCount = buffer.readUInt32BE(stsz.start + 8);
  if (sampleCount === 0) throw new Mp4Error("A track has no samples.");
  if (sampleCount > MAX_SAMPLES) throw new Mp4Error("A track has too many samples.");
  if (fixedSize === 0 && sampleCount > (stsz.end - stsz.start - 12) / 4) {
    throw new Mp4Error("The table stsz is longer than its box.");
  }
  const stco = findBox(buffer, stbl, "stco");
  const longOffsets = stco === undefined;
  const durations = tableIn(buffer, needBox(buffer, stbl, "stts", 8), 8);
  const chunkRuns = tableIn(buffer, needBox(buffer, stbl, "stsc", 8), 12);
  const chunkOffsets = tableIn(buffer, stco ?? needBox(buffer, stbl, "co64", 8), longOffsets ? 8 : 4);
  checkChunks(buffer, chunkRuns, chunkOffsets, sampleCount);
  const ctts = findBox(buffer, stbl, "ctts");
  const compositions = ctts === undefined ? null : tableIn(buffer, ctts, 8);
  const stss = findBox(buffer, stbl, "stss");
  const syncSamples = stss === undefined ? null : tableIn(buffer, stss, 4);
  if (syncSamples !== null) checkSyncSamples(buffer, syncSamples, sampleCount);
  return {
    buffer,
    sampleCount,
    fixedSize,
    sizes: { at: stsz.start + 12, count: fixedSize === 0 ? sampleCount : 0 },
    durations,
    compositions,
    chunkRuns,
    chunkOffsets,
    longOffsets,
    syncSamples,
    duration: sumDurations(buffer, durations, sampleCount),
    ...rangeOfCompositions(buffer, compositions, sampleCount),
  };
}

/** A full box: version and flags, a count, the entries. */
function tableIn(buffer: Buffer, box: Box, entryBytes: number): TableView {
  if (box.end - box.start < 8) throw new Mp4Error("A sample table is too short.");
  const count = buffer.readUInt32BE(box.start + 4);
  if (count > (box.end - box.start - 8) / entryBytes) throw new Mp4Error("A sample table is longer than its box.");
  return { at: box.start + 8, count };
}

function checkChunks(buffer: Buffer, runs: TableView, offsets: TableView, sampleCount: number): void {
  let samples = 0;
  for (let index = 0; index < runs.count; index += 1) {
    const at = runs.at + index * 12;
    const first = buffer.readUInt32BE(at);
    const after = index + 1 < runs.count ? buffer.readUInt32BE(at + 12) : offsets.count + 1;
    const perChunk = buffer.readUInt32BE(at + 4);
    if ((index === 0 && first !== 1) || after <= first || perChunk === 0) {
      throw new Mp4Error("The table stsc is out of order.");
    }
    if (buffer.readUInt32BE(at + 8) !== 1) throw new Mp4Error("A track changes its format on the way.");
    samples += (after - first) * perChunk;
  }
  if (samples < sampleCount) throw new Mp4Error("The chunk tables hold fewer samples than the size table.");
}

function checkSyncSamples(buffer: Buffer, view: TableView, sampleCount: number): void {
  let last = 0;
  for (let index = 0; index < view.count; index += 1) {
    const number = buffer.readUInt32BE(view.at + index * 4);
    if (number <= last || number > sampleCount) throw new Mp4Error("The table stss is out of order.");
    last = number;
  }
  if (view.count === 0 || buffer.readUInt32BE(view.at) !== 1) {
    throw new Mp4Error("The video does not begin with a keyframe.");
  }
}

function sumDurations(buffer: Buffer, view: TableView, sampleCount: number): number {
  let samples = 0;
  let duration = 0;
  for (let index = 0; index < view.count && samples < sampleCount; index += 1) {
    const count = Math.min(buffer.readUInt32BE(view.at + index * 8), sampleCount - samples);
    samples += count;
    duration += count * buffer.readUInt32BE(view.at + index * 8 + 4);
  }
  if (samples < sampleCount) throw new Mp4Error("The table stts holds too few samples.");
  return duration;
}

function rangeOfCompositions(buffer: Buffer, view: TableView | null, sampleCount: number) {
  if (view === null) return { minComposition: 0, maxComposition: 0 };
  let samples = 0;
  let minComposition = Number.POSITIVE_INFINITY;
  let maxComposition = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < view.count; index += 1) {
    const count = buffer.readUInt32BE(view.at + index * 8);
    if (count === 0) continue;
    // Signed in version 1; version 0 is written with negative ones too.
    const offset = buffer.readInt32BE(view.at + index * 8 + 4);
    samples += count;
    minComposition = Math.min(minComposition, offset);
    maxComposition = Math.max(maxComposition, offset);
  }
  if (samples < sampleCount) throw new Mp4Error("The table ctts holds too few samples.");
  return { minComposition, maxComposition };
}
