import { type Box, findBox, needBox } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";

/** A table in the file's bytes: `count` entries from `at` on. Entries are not copied into objects. */
export interface TableView {
  readonly at: number;
  readonly count: number;
}

/**
 * The sample tables of one track (ISO/IEC 14496-12, 8.6 and 8.7). Each table is known to fit its box, but the values in
 * it are not checked.
 */
export interface SampleTable {
  readonly buffer: Buffer;
  readonly sampleCount: number;
  /** The size of every sample in bytes, or 0 if `sizes` lists the sizes. */
  readonly fixedSize: number;
  readonly sizes: TableView;
  /** The table stts: pairs of count and duration. */
  readonly durations: TableView;
  /** The table ctts: pairs of count and offset. null if presentation times equal decode times. */
  readonly compositions: TableView | null;
  /** The table stsc: triples of first chunk, samples per chunk and description. */
  readonly chunkRuns: TableView;
  readonly chunkOffsets: TableView;
  readonly longOffsets: boolean;
  /** The table stss: the sorted numbers of the sync samples, from 1. null if every sample is a sync sample. */
  readonly syncSamples: TableView | null;
}

/** The most samples that a track may have: more than a day of 60 fps video or of 48 kHz AAC. */
const MAX_SAMPLES = 8_000_000;
/** The limit for samples of one size if the file's size is unknown. A day of AAC has fewer. */
const MAX_SAMPLES_OF_ONE_SIZE = 4_500_000;

/**
 * Finds the sample tables of a track in constant time.
 *
 * @param fileBytes the file's size, or null if it is unknown
 * @throws Mp4Error if the tables do not fit their boxes, or claim more than the file can contain
 */
export function parseSampleTable(buffer: Buffer, stbl: Box, fileBytes: number | null): SampleTable {
  const stsz = needBox(buffer, stbl, "stsz", 12);
  const fixedSize = buffer.readUInt32BE(stsz.start + 4);
  const sampleCount = buffer.readUInt32BE(stsz.start + 8);
  if (sampleCount === 0) throw new Mp4Error("A track has no samples.");
  if (sampleCount > MAX_SAMPLES) throw new Mp4Error("A track has too many samples.");
  if (fixedSize === 0 && sampleCount > (stsz.end - stsz.start - 12) / 4) {
    throw new Mp4Error("The table stsz is longer than its box.");
  }
  if (fixedSize > 0) checkFits(sampleCount, fixedSize, fileBytes);
  const stco = findBox(buffer, stbl, "stco");
  const longOffsets = stco === undefined;
  const ctts = findBox(buffer, stbl, "ctts");
  const stss = findBox(buffer, stbl, "stss");
  return {
    buffer,
    sampleCount,
    fixedSize,
    sizes: { at: stsz.start + 12, count: fixedSize === 0 ? sampleCount : 0 },
    durations: tableIn(buffer, needBox(buffer, stbl, "stts", 8), 8),
    compositions: ctts === undefined ? null : tableIn(buffer, ctts, 8),
    chunkRuns: tableIn(buffer, needBox(buffer, stbl, "stsc", 8), 12),
    chunkOffsets: tableIn(buffer, stco ?? needBox(buffer, stbl, "co64", 8), longOffsets ? 8 : 4),
    longOffsets,
    syncSamples: stss === undefined ? null : tableIn(buffer, stss, 4),
  };
}

/**
 * Checks the number of samples of one size against the file's size, or against a limit if that is unknown. Samples of
 * one size are not listed in a table, so a file of a few bytes could claim any number of them.
 */
function checkFits(sampleCount: number, size: number, fileBytes: number | null): void {
  const fits = fileBytes === null ? sampleCount <= MAX_SAMPLES_OF_ONE_SIZE : sampleCount * size <= fileBytes;
  if (!fits) throw new Mp4Error(`The index claims ${sampleCount} samples of ${size} bytes, more than the file holds.`);
}

/** Finds the entries of a full box, which has version and flags, a count and the entries. */
function tableIn(buffer: Buffer, box: Box, entryBytes: number): TableView {
  if (box.end - box.start < 8) throw new Mp4Error("A sample table is too short.");
  const count = buffer.readUInt32BE(box.start + 4);
  if (count > (box.end - box.start - 8) / entryBytes) throw new Mp4Error("A sample table is longer than its box.");
  return { at: box.start + 8, count };
}
