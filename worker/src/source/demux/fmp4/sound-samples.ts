import type { DemuxerOptions } from "../demuxer.ts";
import { AUDIO_HEADER_BYTES, sequenceHeaderTag, soundTag, TagMaker } from "../tag-maker.ts";
import type { SampleTaker } from "./media-lane.ts";

/** Makes tags of the AAC frames of an MP4 track. */
export class SoundSamples implements SampleTaker {
  readonly #onTag: DemuxerOptions["onTag"];
  readonly #tags = new TagMaker();
  /** The AudioSpecificConfig that is to be given before the first frame; null after it was given. */
  #config: Buffer | null;

  /** @param config AudioSpecificConfig */
  constructor({ onTag }: Pick<DemuxerOptions, "onTag">, config: Buffer) {
    this.#onTag = onTag;
    this.#config = config;
  }

  room(bytes: number): { readonly payload: Buffer; readonly offset: number } {
    return { payload: this.#tags.room("audio", bytes), offset: AUDIO_HEADER_BYTES };
  }

  give(payload: Buffer, dtsMs: number, _ptsMs: number): void {
    if (this.#config !== null) this.#onTag(sequenceHeaderTag("audio", dtsMs, this.#config));
    this.#config = null;
    this.#onTag(soundTag(dtsMs, payload));
  }
}
