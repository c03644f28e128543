import { FlvDemuxer, FlvError } from "../../media/flv/flv-demuxer.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { DemuxError } from "../demux/demuxer.ts";
import { TsDemuxer } from "../demux/mpegts/ts-demuxer.ts";
import { fedTag } from "../feed/fed-tag.ts";

/** What is read to be judged: a transport stream, FLV, sound alone, or anything else. */
export type SpannedFormat = "mpegts" | "flv" | "sound" | "other";

/** The bit rate of uncompressed stereo at 48 kHz, in bytes per ms: no sound of a stream has less time in its bytes. */
const SOUND_BYTES_PER_MS = 192;
/** A larger step of the clock is a jump, which is not counted, ms. */
const LARGEST_STEP_MS = 5000;

/** Measures how much time the bytes of a stream hold. Of what it cannot read it says 0, of sound alone the least. */
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
    // The tracks come unevenly: a step back of one of them is no jump.
    if (stepMs < 0 && stepMs > -LARGEST_STEP_MS) return;
    if (stepMs > 0 && stepMs <= LARGEST_STEP_MS) this.#mediaMs += stepMs;
    this.#lastMs = dtsMs;
  }
}
