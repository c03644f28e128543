import type { SampleTable, TableView } from "./sample-table.ts";

/** Walks the samples of a track in decoding order, reading the tables where they lie. Begins on the first sample. */
export class SampleCursor {
  /** From 0; `sampleCount` once all are passed. */
  index = 0;
  /** Of the current sample: its place in the file and its size, bytes; its decode time in the track's time scale. */
  offset: number;
  size: number;
  decodeTime = 0;
  sync: boolean;
  readonly #table: SampleTable;
  #durationEntry = 0;
  #durationsLeft: number;
  #chunk = 0;
  #chunkRun = 0;
  #chunkSamplesLeft: number;
  #nextSync = 0;

  constructor(table: SampleTable) {
    this.#table = table;
    this.#durationsLeft = this.#read(table.durations, 8, 0, 0);
    this.#chunkSamplesLeft = this.#read(table.chunkRuns, 12, 0, 4);
    this.offset = this.#chunkOffset();
    this.size = this.#sampleSize();
    this.sync = this.#takeSync();
  }

  get done(): boolean {
    return this.index >= this.#table.sampleCount;
  }

  advance(): void {
    this.index += 1;
    if (this.done) return;
    this.decodeTime += this.#takeDuration();
    this.#chunkSamplesLeft -= 1;
    if (this.#chunkSamplesLeft === 0) this.#enterNextChunk();
    else this.offset += this.size;
    this.size = this.#sampleSize();
    this.sync = this.#takeSync();
  }

  #takeDuration(): number {
    while (this.#durationsLeft === 0) {
      this.#durationEntry += 1;
      this.#durationsLeft = this.#read(this.#table.durations, 8, this.#durationEntry, 0);
    }
    this.#durationsLeft -= 1;
    return this.#read(this.#table.durations, 8, this.#durationEntry, 4);
  }

  #enterNextChunk(): void {
    const { chunkRuns } = this.#table;
    this.#chunk += 1;
    const next = this.#chunkRun + 1;
    if (next < chunkRuns.count && this.#read(chunkRuns, 12, next, 0) === this.#chunk + 1) this.#chunkRun = next;
    this.#chunkSamplesLeft = this.#read(chunkRuns, 12, this.#chunkRun, 4);
    this.offset = this.#chunkOffset();
  }

  #chunkOffset(): number {
    const { buffer, chunkOffsets, longOffsets } = this.#table;
    return longOffsets
      ? Number(buffer.readBigUInt64BE(chunkOffsets.at + this.#chunk * 8))
      : buffer.readUInt32BE(chunkOffsets.at + this.#chunk * 4);
  }

  #sampleSize(): number {
    const { buffer, fixedSize, sizes } = this.#table;
    return fixedSize === 0 ? buffer.readUInt32BE(sizes.at + this.index * 4) : fixedSize;
  }

  #takeSync(): boolean {
    const { syncSamples } = this.#table;
    if (syncSamples === null) return true;
    if (this.#nextSync === syncSamples.count) return false;
    const sync = this.#read(syncSamples, 4, this.#nextSync, 0) === this.index + 1;
    if (sync) this.#nextSync += 1;
    return sync;
  }

  #read(view: TableView, entryBytes: number, entry: number, field: number): number {
    return this.#table.buffer.readUInt32BE(view.at + entry * entryBytes + field);
  }
}
