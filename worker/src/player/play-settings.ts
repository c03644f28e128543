import { renditionHeight, type TaskUpdate } from "@roomcast/shared";
import type { AudioTrackChoice } from "../source/plan/track-choice.ts";

/** The settings of playback that may change while the push runs. */
export interface Settings {
  /** Loudness in percent; 100 leaves the sound unchanged. */
  readonly volume: number;
  /** The factor of the playing speed; 1 leaves it unchanged. */
  readonly tempo: number;
  /** The audio track to play; undefined for the source's default. */
  readonly audioTrack?: AudioTrackChoice | undefined;
  /** The maximum picture height. It applies to a source with several renditions. */
  readonly maxHeight?: number | undefined;
}

type SettingsUpdate = Pick<TaskUpdate, "Volume" | "Tempo" | "AudioTrack" | "Rendition">;

/** Returns the settings of a request. Pure. */
export function settingsOf({ Volume = 100, Tempo = 1, AudioTrack, Rendition }: SettingsUpdate): Settings {
  return {
    volume: Volume,
    tempo: Tempo,
    audioTrack: AudioTrack,
    maxHeight: Rendition === undefined ? undefined : renditionHeight(Rendition),
  };
}

/** The current volume, tempo, audio track and rendition of a push. */
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

  /** @returns a function that reverts the change unless a newer one has been made */
  change(update: SettingsUpdate): () => void {
    const before = this.#now;
    const changed = this.#changedBy(update);
    this.#now = changed;
    return () => {
      if (areEqual(this.#now, changed)) this.#now = before;
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
