import { FlvDemuxer, FlvError } from "../../media/flv/flv-demuxer.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { DemuxError } from "../demux/demuxer.ts";
import { TsDemuxer } from "../demux/mpegts/ts-demuxer.ts";
import { fedTag } from "../feed/fed-tag.ts";

/** The format of a stream that is judged: a transport stream, FLV, sound alone, or anything else. */
export type SpannedFormat = "mpegts" | "flv" | "sound" | "other";

/**
 * The rate of uncompressed 16-bit stereo at 48 kHz, in bytes per ms. Compressed sound holds more time in as many bytes.
 */
const SOUND_BYTES_PER_MS = 192;
/** The largest step of the clock that counts as media time, ms. A larger step is a jump. */
const LARGEST_STEP_MS = 5000;

/**
 * Measures how much time the bytes of a stream hold. The result is 0 for a format that it cannot read, and a lower
 * bound for sound alone.
 */
export class MediaSpan {
  readonly #reader: { push(chunk: Buffer): void } | undefined;
  readonly #isSound: boolean;
  #bytes = 0;
  #lastMs: number | undefined;
  #mediaMs = 0;
  #isReadable = true;

  constructor(format: SpannedFormat) {
    this.#isSound = format === "sound";
    const onTag = (tag: MediaTag) => this.#observe(tag);
    if (format === "flv") this.#reader = new FlvDemuxer({ read: fedTag, onTag });
    if (format === "mpegts") {
      this.#reader = new TsDemuxer({
        onTracks: (tracks) => {
          const idOf = (kind: "audio" | "video") => tracks.find((track) => track.kind === kind)?.id ?? null;
          return { video: idOf("video"), audio: idOf("audio") };
        },
        onTag,
      });
    }
  }

  get ms(): number {
    return this.#isSound ? this.#bytes / SOUND_BYTES_PER_MS : this.#mediaMs;
  }

  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#reader === undefined || !this.#isReadable) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof DemuxError || error instanceof FlvError)) throw error;
      this.#isReadable = false;
    }
  }

  #observe({ sequenceHeader, dtsMs }: MediaTag): void {
    if (sequenceHeader) return;
    const stepMs = dtsMs - (this.#lastMs ?? dtsMs);
    // A small step back is not a jump: the tracks are interleaved unevenly.
    if (stepMs < 0 && stepMs > -LARGEST_STEP_MS) return;
    if (stepMs > 0 && stepMs <= LARGEST_STEP_MS) this.#mediaMs += stepMs;
    this.#lastMs = dtsMs;
  }
}
