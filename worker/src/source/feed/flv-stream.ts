import { Readable } from "node:stream";
import { flvHeader, flvTagSlices } from "../../media/flv/flv-writer.ts";
import type { FedTag } from "./fed-tag.ts";

/** The most bytes that wait for ffmpeg before the feed is held back. */
export const HIGH_WATER_BYTES = 512 * 1024;

/** Converts the tags of a run to bytes that ffmpeg reads. */
export interface RunStream extends Readable {
  /** The beginning of this stream on the feed's clock, ms; undefined before the first media. */
  readonly baseMs: number | undefined;
  write(tag: FedTag): void;
  finish(): void;
}

export interface RunStreamOptions {
  readonly tracks: { readonly audio: boolean; readonly video: boolean };
  readonly onFull: () => void;
  readonly onRoom: () => void;
}

/** Writes tags as an FLV file whose clock begins at 0 with the first tag. */
export class FlvStream extends Readable implements RunStream {
  readonly #options: RunStreamOptions;
  #baseMs: number | undefined;
  #full = false;

  constructor(options: RunStreamOptions) {
    super({ highWaterMark: HIGH_WATER_BYTES });
    this.#options = options;
    this.push(flvHeader(options.tracks));
  }

  get baseMs(): number | undefined {
    return this.#baseMs;
  }

  write(tag: FedTag): void {
    if (this.destroyed || this.readableEnded) return;
    if (!tag.sequenceHeader) this.#baseMs ??= tag.dtsMs;
    const timestampMs = tag.sequenceHeader ? Math.max(0, tag.dtsMs - (this.#baseMs ?? tag.dtsMs)) : this.#timeOf(tag);
    // Sound from before the beginning is dropped: it belongs to pictures before the first one.
    if (timestampMs < 0) return;
    const { kind, payload } = tag;
    for (const slice of flvTagSlices({ kind, payload, timestampMs: Math.round(timestampMs) })) this.push(slice);
    if (!this.#full && this.readableLength > HIGH_WATER_BYTES) {
      this.#full = true;
      this.#options.onFull();
    }
  }

  finish(): void {
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#options.onRoom();
  }

  #timeOf(tag: FedTag): number {
    return tag.dtsMs - (this.#baseMs ?? tag.dtsMs);
  }
}
