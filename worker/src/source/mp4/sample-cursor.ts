import type { SampleIndex } from "./sample-index.ts";
import type { TableView } from "./sample-table.ts";

/** Steps through the samples of a track in decoding order. It reads the tables in place. */
export class SampleCursor {
  /** The number of the current sample, from 0. */
  index: number;
  /** The current sample's first byte in the file, its size in bytes and its decode time in the track's time scale. */
  offset: number;
  size: number;
  decodeTime: number;
  sync: boolean;
  readonly #samples: SampleIndex;
  readonly #end: number;
  #durationEntry: number;
  #durationsLeft: number;
  #chunk: number;
  #chunkRun: number;
  #chunkSamplesLeft: number;
  #nextSync: number;

  /**
   * Creating a cursor takes about the same time for every first sample.
   *
   * @param first the sample to begin with
   * @param end the sample before which to stop
   */
  constructor(samples: SampleIndex, first = 0, end = samples.sampleCount) {
    this.#samples = samples;
    this.#end = end;
    const place = samples.placeOf(first);
    this.index = first;
    this.offset = place.offset;
    this.size = samples.sizeOf(first);
    this.decodeTime = place.decodeTime;
    this.#durationEntry = place.durationEntry;
    this.#durationsLeft = place.durationsLeft;
    this.#chunk = place.chunk;
    this.#chunkRun = place.chunkRun;
    this.#chunkSamplesLeft = place.chunkSamplesLeft;
    this.#nextSync = place.nextSync;
    this.sync = this.#takeSync();
  }

  get done(): boolean {
    return this.index >= this.#end;
  }

  advance(): void {
    this.index += 1;
    if (this.done) return;
    this.decodeTime += this.#takeDuration();
    this.#chunkSamplesLeft -= 1;
    if (this.#chunkSamplesLeft === 0) this.#enterNextChunk();
    else this.offset += this.size;
    this.size = this.#samples.sizeOf(this.index);
    this.sync = this.#takeSync();
  }

  #takeDuration(): number {
    const { durations } = this.#samples.table;
    while (this.#durationsLeft === 0) {
      this.#durationEntry += 1;
      this.#durationsLeft = this.#read(durations, 8, this.#durationEntry, 0);
    }
    this.#durationsLeft -= 1;
    return this.#read(durations, 8, this.#durationEntry, 4);
  }

  #enterNextChunk(): void {
    const { chunkRuns } = this.#samples.table;
    this.#chunk += 1;
    const next = this.#chunkRun + 1;
    if (next < chunkRuns.count && this.#read(chunkRuns, 12, next, 0) === this.#chunk + 1) this.#chunkRun = next;
    this.#chunkSamplesLeft = this.#read(chunkRuns, 12, this.#chunkRun, 4);
    this.offset = this.#samples.chunkOffset(this.#chunk);
  }

  #takeSync(): boolean {
    const { syncSamples } = this.#samples.table;
    if (syncSamples === null) return true;
    if (this.#nextSync === syncSamples.count) return false;
    const sync = this.#read(syncSamples, 4, this.#nextSync, 0) === this.index + 1;
    if (sync) this.#nextSync += 1;
    return sync;
  }

  #read(view: TableView, entryBytes: number, entry: number, field: number): number {
    return this.#samples.table.buffer.readUInt32BE(view.at + entry * entryBytes + field);
  }
}
