import { renditionHeight, type TaskUpdate } from "@roomcast/shared";
import type { AudioTrackWish } from "../source/plan/track-choice.ts";

/** How sources are played, as far as it may change while the push runs. */
export interface Settings {
  /** Percent; 100 leaves it as it is. */
  readonly volume: number;
  /** 1 leaves it as it is. */
  readonly tempo: number;
  /** undefined: what the source proposes. */
  readonly audioTrack?: AudioTrackWish | undefined;
  /** Of a source in several sizes, the lines of the picture at most. */
  readonly maxHeight?: number | undefined;
}

type SettingsUpdate = Pick<TaskUpdate, "Volume" | "Tempo" | "AudioTrack" | "Rendition">;

/** What a request says of its settings. Pure. */
export function settingsOf({ Volume = 100, Tempo = 1, AudioTrack, Rendition }: SettingsUpdate): Settings {
  return {
    volume: Volume,
    tempo: Tempo,
    audioTrack: AudioTrack,
    maxHeight: Rendition === undefined ? undefined : renditionHeight(Rendition),
  };
}

/** How loud, how fast, and which sound and size of a source is played. */
export class PlaySettings {
  #now: Settings;

  constructor({ volume, tempo, audioTrack, maxHeight }: Settings) {
    this.#now = { volume, tempo, audioTrack, maxHeight };
  }

  get now(): Settings {
    return this.#now;
  }

  isChangedBy(update: SettingsUpdate): boolean {
    return !areEqual(this.#changedBy(update), this.#now);
  }

  /** @returns takes the change back, unless a newer one has come */
  change(update: SettingsUpdate): () => void {
    const before = this.#now;
    const wished = this.#changedBy(update);
    this.#now = wished;
    return () => {
      if (areEqual(this.#now, wished)) this.#now = before;
    };
  }

  #changedBy({ Volume, Tempo, AudioTrack, Rendition }: SettingsUpdate): Settings {
    const { volume, tempo, audioTrack, maxHeight } = this.#now;
    return {
      volume: Volume ?? volume,
      tempo: Tempo ?? tempo,
      audioTrack: AudioTrack ?? audioTrack,
      maxHeight: Rendition === undefined ? maxHeight : renditionHeight(Rendition),
    };
  }
}

function areEqual(a: Settings, b: Settings): boolean {
  const sameSound = a.volume === b.volume && a.audioTrack === b.audioTrack;
  return sameSound && a.tempo === b.tempo && a.maxHeight === b.maxHeight;
}
