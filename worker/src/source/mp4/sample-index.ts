import { Mp4Error } from "./mp4-error.ts";
import type { SampleTable, TableView } from "./sample-table.ts";
import type { WorkSlices } from "./work-slices.ts";

/** The position of a sample in each of the tables. */
export interface SamplePlace {
  readonly decodeTime: number;
  readonly durationEntry: number;
  /** The number of samples, from this one on, to which the duration entry applies. */
  readonly durationsLeft: number;
  /** The number of the chunk, from 0. */
  readonly chunk: number;
  readonly chunkRun: number;
  /** The number of samples, from this one on, in the chunk. */
  readonly chunkSamplesLeft: number;
  /** The sample's first byte in the file. */
  readonly offset: number;
  /** The entry of the first sync sample that is not before this sample. */
  readonly nextSync: number;
}

/** The distance of the entries for which sums are stored. The entries in between are added up on demand. */
const STRIDE = 128;
/**
 * The most entries of a table that apply to no samples. A few of them are harmless. A table full of them is an attack
 * on code that steps over them.
 */
const MAX_EMPTY_ENTRIES = 1024;

/** The sums before every `STRIDE`-th entry of a table. */
class Sums {
  /** The number of samples before the entry. */
  readonly samples: number[] = [];
  /** The sum of the table's other values before the entry. */
  readonly values: number[] = [];

  add(samples: number, value: number): void {
    this.samples.push(samples);
    this.values.push(value);
  }
}

/** The sample tables of one track, which are checked to be consistent. Every sample is found in a bounded time. */
export class SampleIndex {
  readonly table: SampleTable;
  /** The sum of all durations, in the track's time scale. */
  readonly duration: number;
  /** The smallest and the largest composition offset, in the track's time scale. */
  readonly minComposition: number;
  readonly maxComposition: number;
  /** The size of all samples together, and of the largest one. */
  readonly bytes: number;
  readonly largestBytes: number;
  /** The longest distance between sync samples, or from the last one to the end, in the track's time scale. */
  readonly longestGop: number;
  readonly #durations: Sums;
  readonly #chunkRuns: Sums;
  readonly #sizes: Sums;

  private constructor(table: SampleTable, found: Findings) {
    this.table = table;
    this.duration = found.duration;
    this.minComposition = found.minComposition;
    this.maxComposition = found.maxComposition;
    this.bytes = found.bytes;
    this.largestBytes = found.largestBytes;
    this.longestGop = found.longestGop;
    this.#durations = found.durations;
    this.#chunkRuns = found.chunkRuns;
    this.#sizes = found.sizes;
  }

  /**
   * Reads each table once, in slices.
   *
   * @throws Mp4Error if the tables contradict each other
   */
  static async build(table: SampleTable, slices: WorkSlices): Promise<SampleIndex> {
    const times = await addDurations(table, slices);
    return new SampleIndex(table, {
      ...times,
      ...(await addChunks(table, slices)),
      ...(await addSizes(table, slices)),
      ...(await rangeOfCompositions(table, slices)),
      longestGop: await findLongestGop(table, times.duration, slices),
    });
  }

  get sampleCount(): number {
    return this.table.sampleCount;
  }

  /** Returns the last sample that does not begin after a time, which is in the track's time scale. */
  sampleAt(time: number): number {
    const { durations } = this.table;
    const from = lastNotAbove(this.#durations.values, time);
    let samples = this.#durations.samples[from] ?? 0;
    let begins = this.#durations.values[from] ?? 0;
    // Entries after the last sample apply to no sample.
    for (let entry = from * STRIDE; entry < durations.count && samples < this.sampleCount; entry += 1) {
      const [count, duration] = [this.#read(durations, 8, entry, 0), this.#read(durations, 8, entry, 4)];
      if (time < begins + count * duration) {
        samples += Math.max(0, Math.floor((time - begins) / duration));
        break;
      }
      samples += count;
      begins += count * duration;
    }
    return Math.min(samples, this.sampleCount - 1);
  }

  /** Returns the last sync sample that is not after the given sample, or undefined if there is none. */
  syncSampleAt(sample: number): number | undefined {
    const { syncSamples } = this.table;
    if (syncSamples === null) return sample;
    const entry = this.#firstSyncFrom(sample + 1) - 1;
    return entry < 0 ? undefined : this.#read(syncSamples, 4, entry, 0) - 1;
  }

  /** Returns the position of a sample in each table. @param sample the number of an existing sample, from 0 */
  placeOf(sample: number): SamplePlace {
    return { ...this.#timeOf(sample), ...this.#chunkOf(sample), nextSync: this.#firstSyncFrom(sample) };
  }

  sizeOf(sample: number): number {
    const { buffer, fixedSize, sizes } = this.table;
    return fixedSize === 0 ? buffer.readUInt32BE(sizes.at + sample * 4) : fixedSize;
  }

  chunkOffset(chunk: number): number {
    const { buffer, chunkOffsets, longOffsets } = this.table;
    return longOffsets
      ? Number(buffer.readBigUInt64BE(chunkOffsets.at + chunk * 8))
      : buffer.readUInt32BE(chunkOffsets.at + chunk * 4);
  }

  #timeOf(sample: number): Pick<SamplePlace, "decodeTime" | "durationEntry" | "durationsLeft"> {
    const { durations } = this.table;
    const from = lastNotAbove(this.#durations.samples, sample);
    let samples = this.#durations.samples[from] ?? 0;
    let decodeTime = this.#durations.values[from] ?? 0;
    for (let entry = from * STRIDE; ; entry += 1) {
      const [count, duration] = [this.#read(durations, 8, entry, 0), this.#read(durations, 8, entry, 4)];
      if (sample < samples + count) {
        decodeTime += (sample - samples) * duration;
        return { decodeTime, durationEntry: entry, durationsLeft: count - (sample - samples) };
      }
      samples += count;
      decodeTime += count * duration;
    }
  }

  #chunkOf(sample: number): Pick<SamplePlace, "chunk" | "chunkRun" | "chunkSamplesLeft" | "offset"> {
    const { chunkRuns } = this.table;
    const from = lastNotAbove(this.#chunkRuns.samples, sample);
    let samples = this.#chunkRuns.samples[from] ?? 0;
    for (let run = from * STRIDE; ; run += 1) {
      const perChunk = this.#read(chunkRuns, 12, run, 4);
      const inRun = chunksIn(this.table, run) * perChunk;
      if (sample < samples + inRun || run === chunkRuns.count - 1) {
        const chunk = this.#read(chunkRuns, 12, run, 0) - 1 + Math.floor((sample - samples) / perChunk);
        const inChunk = (sample - samples) % perChunk;
        const offset = this.chunkOffset(chunk) + this.#bytesBefore(sample) - this.#bytesBefore(sample - inChunk);
        return { chunk, chunkRun: run, chunkSamplesLeft: perChunk - inChunk, offset };
      }
      samples += inRun;
    }
  }

  #bytesBefore(sample: number): number {
    if (this.table.fixedSize > 0) return sample * this.table.fixedSize;
    const from = Math.floor(sample / STRIDE);
    let bytes = this.#sizes.values[from] ?? 0;
    for (let index = from * STRIDE; index < sample; index += 1) bytes += this.sizeOf(index);
    return bytes;
  }

  /** Returns the entry of the first sync sample from a sample on, or the number of entries if there is none. */
  #firstSyncFrom(sample: number): number {
    const { syncSamples } = this.table;
    if (syncSamples === null) return 0;
    let [low, high] = [0, syncSamples.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#read(syncSamples, 4, middle, 0) - 1 < sample) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #read(view: TableView, entryBytes: number, entry: number, field: number): number {
    return this.table.buffer.readUInt32BE(view.at + entry * entryBytes + field);
  }
}

interface Findings {
  readonly duration: number;
  readonly durations: Sums;
  readonly chunkRuns: Sums;
  readonly sizes: Sums;
  readonly bytes: number;
  readonly largestBytes: number;
  readonly minComposition: number;
  readonly maxComposition: number;
  readonly longestGop: number;
}

async function addDurations(table: SampleTable, slices: WorkSlices): Promise<Pick<Findings, "duration" | "durations">> {
  const { buffer, durations: view, sampleCount } = table;
  const durations = new Sums();
  let [samples, duration, empty] = [0, 0, 0];
  for (let entry = 0; entry < view.count && samples < sampleCount; entry += 1) {
    if (entry % STRIDE === 0) durations.add(samples, duration);
    const count = Math.min(buffer.readUInt32BE(view.at + entry * 8), sampleCount - samples);
    if (count === 0) empty += 1;
    samples += count;
    duration += count * buffer.readUInt32BE(view.at + entry * 8 + 4);
    if (slices.spent(1)) await slices.pause();
  }
  if (samples < sampleCount) throw new Mp4Error("The table stts holds too few samples.");
  if (empty > MAX_EMPTY_ENTRIES) throw new Mp4Error("The table stts is full of empty entries.");
  return { duration, durations };
}

/** Returns the number of chunks to which an entry of stsc applies: those before the next entry's first chunk. */
function chunksIn({ buffer, chunkRuns, chunkOffsets }: SampleTable, run: number): number {
  const at = chunkRuns.at + run * 12;
  const after = run + 1 < chunkRuns.count ? buffer.readUInt32BE(at + 12) : chunkOffsets.count + 1;
  return after - buffer.readUInt32BE(at);
}

async function addChunks(table: SampleTable, slices: WorkSlices): Promise<Pick<Findings, "chunkRuns">> {
  const { buffer, chunkRuns: view, sampleCount } = table;
  const chunkRuns = new Sums();
  let samples = 0;
  for (let run = 0; run < view.count; run += 1) {
    if (run % STRIDE === 0) chunkRuns.add(samples, 0);
    const at = view.at + run * 12;
    const perChunk = buffer.readUInt32BE(at + 4);
    const first = buffer.readUInt32BE(at);
    const chunks = chunksIn(table, run);
    if (first === 0 || (run === 0 && first !== 1) || chunks <= 0 || perChunk === 0) {
      throw new Mp4Error("The table stsc is out of order.");
    }
    if (buffer.readUInt32BE(at + 8) !== 1) throw new Mp4Error("A track changes its format in the middle.");
    samples += chunks * perChunk;
    if (slices.spent(1)) await slices.pause();
  }
  if (samples < sampleCount) throw new Mp4Error("The chunk tables hold fewer samples than the size table.");
  return { chunkRuns };
}

async function addSizes(
  table: SampleTable,
  slices: WorkSlices,
): Promise<Pick<Findings, "sizes" | "bytes" | "largestBytes">> {
  const { buffer, fixedSize, sizes: view, sampleCount } = table;
  const sizes = new Sums();
  if (fixedSize > 0) return { sizes, bytes: sampleCount * fixedSize, largestBytes: fixedSize };
  let [bytes, largestBytes] = [0, 0];
  for (let sample = 0; sample < sampleCount; sample += 1) {
    if (sample % STRIDE === 0) sizes.add(sample, bytes);
    const size = buffer.readUInt32BE(view.at + sample * 4);
    bytes += size;
    if (size > largestBytes) largestBytes = size;
    if (slices.spent(1)) await slices.pause();
  }
  return { sizes, bytes, largestBytes };
}

async function rangeOfCompositions(
  { buffer, compositions: view, sampleCount }: SampleTable,
  slices: WorkSlices,
): Promise<Pick<Findings, "minComposition" | "maxComposition">> {
  if (view === null) return { minComposition: 0, maxComposition: 0 };
  let samples = 0;
  let minComposition = Number.POSITIVE_INFINITY;
  let maxComposition = Number.NEGATIVE_INFINITY;
  for (let entry = 0; entry < view.count && samples < sampleCount; entry += 1) {
    if (slices.spent(1)) await slices.pause();
    const count = buffer.readUInt32BE(view.at + entry * 8);
    if (count === 0) continue;
    // Offsets are signed in version 1, and some writers use negative ones in version 0 too.
    const offset = buffer.readInt32BE(view.at + entry * 8 + 4);
    samples += count;
    minComposition = Math.min(minComposition, offset);
    maxComposition = Math.max(maxComposition, offset);
  }
  if (samples < sampleCount) throw new Mp4Error("The table ctts holds too few samples.");
  return { minComposition, maxComposition };
}

/** Finds the longest distance between sync samples by stepping through stss and stts together. */
async function findLongestGop(table: SampleTable, duration: number, slices: WorkSlices): Promise<number> {
  const { buffer, durations, syncSamples, sampleCount } = table;
  const read = (entry: number, field: number) => buffer.readUInt32BE(durations.at + entry * 8 + field);
  let [entry, samples, begins, longest] = [0, 0, 0, 0];
  if (syncSamples === null) {
    for (; entry < durations.count; entry += 1) {
      if (read(entry, 0) > 0) longest = Math.max(longest, read(entry, 4));
      if (slices.spent(1)) await slices.pause();
    }
    return longest;
  }
  let [last, since] = [0, 0];
  for (let index = 0; index < syncSamples.count; index += 1) {
    const number = buffer.readUInt32BE(syncSamples.at + index * 4);
    if (number <= last || number > sampleCount) throw new Mp4Error("The table stss is out of order.");
    if (index === 0 && number !== 1) throw new Mp4Error("The video does not begin with a keyframe.");
    last = number;
    while (samples + read(entry, 0) < number) {
      samples += read(entry, 0);
      begins += read(entry, 0) * read(entry, 4);
      entry += 1;
      if (slices.spent(1)) await slices.pause();
    }
    const time = begins + (number - 1 - samples) * read(entry, 4);
    longest = Math.max(longest, time - since);
    since = time;
    if (slices.spent(1)) await slices.pause();
  }
  if (last === 0) throw new Mp4Error("The video has no keyframes.");
  return Math.max(longest, duration - since);
}

/** Returns the index of the last value in a sorted list that is not above a limit, or 0 if all are above it. */
function lastNotAbove(values: readonly number[], limit: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
