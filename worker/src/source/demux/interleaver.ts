import type { MediaTag } from "../../media/media-tag.ts";

type Kind = MediaTag["kind"];

export interface InterleaverOptions {
  readonly onTag: (tag: MediaTag) => void;
  /** The longest duration of one track that waits for the other one, ms. */
  readonly maxWaitMs: number;
  readonly maxWaitBytes: number;
}

interface Lane {
  readonly tags: MediaTag[];
  /** True if the track is absent or late, so that the other track does not wait for it. */
  away: boolean;
}

/**
 * Sorts the tags of two tracks by their decode times. A segment may hold all of one track before the other, and audio
 * may be ahead of video. The order within a track does not change.
 */
export class Interleaver {
  readonly #options: InterleaverOptions;
  readonly #lanes: Readonly<Record<Kind, Lane>> = {
    video: { tags: [], away: false },
    audio: { tags: [], away: false },
  };
  #bytes = 0;

  constructor(options: InterleaverOptions) {
    this.#options = options;
  }

  /**
   * Sets the tracks that are present; before that, both count as present. Tags that were held for an absent track are
   * given.
   */
  expect(kinds: readonly Kind[]): void {
    this.#lanes.video.away = !kinds.includes("video");
    this.#lanes.audio.away = !kinds.includes("audio");
    this.#give();
  }

  push(tag: MediaTag): void {
    const lane = this.#lanes[tag.kind];
    lane.away = false;
    lane.tags.push(tag);
    this.#bytes += tag.payload.length;
    this.#give();
  }

  /** Gives all held tags. Later tags are held as before. */
  flush(): void {
    const { video, audio } = this.#lanes;
    const before = [video.away, audio.away];
    [video.away, audio.away] = [true, true];
    this.#give();
    [video.away = false, audio.away = false] = before;
  }

  #give(): void {
    const { video, audio } = this.#lanes;
    for (;;) {
      const [picture, sound] = [video.tags[0], audio.tags[0]];
      const lane = picture !== undefined && (sound === undefined || picture.dtsMs <= sound.dtsMs) ? video : audio;
      const other = lane === video ? audio : video;
      if (other.tags.length === 0 && !other.away) {
        if (!this.#isTooMuch(lane)) return;
        other.away = true;
      }
      const tag = lane.tags.shift();
      if (tag === undefined) return;
      this.#bytes -= tag.payload.length;
      this.#options.onTag(tag);
    }
  }

  /** Returns true if tags wait too long or have too many bytes. A jump of the clock counts as a long wait. */
  #isTooMuch({ tags }: Lane): boolean {
    const [first, last] = [tags[0], tags.at(-1)];
    if (first === undefined || last === undefined) return false;
    return Math.abs(last.dtsMs - first.dtsMs) > this.#options.maxWaitMs || this.#bytes > this.#options.maxWaitBytes;
  }
}
