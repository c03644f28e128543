import type { MediaLane } from "./media-lane.ts";
import type { FragmentSample } from "./movie-fragment.ts";

/** The largest size of a sample that is believed. A larger one means that the index is damaged. */
const MAX_SAMPLE_BYTES = 16 * 1024 * 1024;
/** The most bytes that wait to be sorted by time. They wait if a fragment holds one track after the other. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

interface Slot {
  readonly sample: FragmentSample<MediaLane>;
  /**
   * The sample's payload; undefined before the sample's data begin, and after the sample was given or is known to be
   * lost.
   */
  payload: Buffer | undefined;
  offset: number;
  filled: number;
  settled: boolean;
}

/** Reads the data of a fragment and gives its samples in the order of their decode times. */
export class FragmentData {
  #byPosition: Slot[] = [];
  #byTime: Slot[] = [];
  #reading = 0;
  /** The position up to which samples have taken their data. */
  #readTo = 0;
  #giving = 0;
  #heldBytes = 0;

  /** Sets the samples of the next fragment, whose data follow. */
  expect(samples: readonly FragmentSample<MediaLane>[]): void {
    const slots = samples
      .filter(({ size }) => size <= MAX_SAMPLE_BYTES)
      .map((sample): Slot => ({ sample, payload: undefined, offset: 0, filled: 0, settled: false }));
    this.#byPosition = slots.toSorted((one, other) => one.sample.position - other.sample.position);
    this.#byTime = slots.toSorted((one, other) => one.sample.dtsMs - other.sample.dtsMs);
    this.#reading = 0;
    this.#readTo = 0;
    this.#giving = 0;
  }

  /** Takes a piece of data. @param position the position of the byte at `start` */
  take(bytes: Buffer, start: number, end: number, position: number): void {
    const endPosition = position + end - start;
    for (; this.#reading < this.#byPosition.length; this.#reading += 1) {
      const slot = this.#byPosition[this.#reading];
      if (slot === undefined || slot.sample.position >= endPosition) break;
      const from = slot.sample.position + slot.filled;
      // If the sample's data begin before these bytes, or in bytes that another sample has taken, the sample is lost.
      if (from < position || (slot.filled === 0 && from < this.#readTo)) {
        this.#settle(slot, undefined);
        continue;
      }
      slot.payload ??= this.#begin(slot);
      const source = start + from - position;
      const copied = bytes.copy(
        slot.payload,
        slot.offset + slot.filled,
        source,
        Math.min(end, source + slot.sample.size - slot.filled),
      );
      slot.filled += copied;
      this.#readTo = from + copied;
      if (slot.filled < slot.sample.size) break;
      this.#settle(slot, slot.payload);
    }
  }

  /** Ends the fragment and gives its complete samples, because no more of its data will come. */
  flush(): void {
    for (const slot of this.#byTime.slice(this.#giving)) this.#give(slot);
    this.#byPosition = [];
    this.#byTime = [];
    this.#reading = 0;
    this.#giving = 0;
    this.#heldBytes = 0;
  }

  #begin(slot: Slot): Buffer {
    const { payload, offset } = slot.sample.lane.samples.room(slot.sample.size);
    slot.offset = offset;
    return payload;
  }

  #settle(slot: Slot, payload: Buffer | undefined): void {
    slot.payload = payload;
    slot.settled = true;
    this.#heldBytes += payload?.length ?? 0;
    for (; this.#byTime[this.#giving]?.settled === true; this.#giving += 1) this.#give(this.#byTime[this.#giving]);
    if (this.#heldBytes <= MAX_HELD_BYTES) return;
    for (let index = this.#giving; index < this.#byTime.length; index += 1) this.#give(this.#byTime[index]);
  }

  #give(slot: Slot | undefined): void {
    if (slot?.payload === undefined || !slot.settled) return;
    const { lane, dtsMs, ptsMs } = slot.sample;
    const { payload } = slot;
    slot.payload = undefined;
    this.#heldBytes -= payload.length;
    lane.samples.give(payload, dtsMs, ptsMs);
  }
}
