import type { TaskUpdate } from "@roomcast/shared";

type Settings = { readonly volume: number; readonly tempo: number };

/** How loud and how fast is played. */
export class PlaySettings {
  #now: Settings;

  constructor({ volume, tempo }: Settings) {
    this.#now = { volume, tempo };
  }

  get now(): Settings {
    return this.#now;
  }

  isChangedBy(update: Pick<TaskUpdate, "Volume" | "Tempo">): boolean {
    const { volume, tempo } = this.#now;
    return (update.Volume ?? volume) !== volume || (update.Tempo ?? tempo) !== tempo;
  }

  /** @returns takes the change back, unless a newer one has come */
  change(update: Pick<TaskUpdate, "Volume" | "Tempo">): () => void {
    const before = this.#now;
    const wished = { volume: update.Volume ?? before.volume, tempo: update.Tempo ?? before.tempo };
    this.#now = wished;
    return () => {
      if (this.#now.volume === wished.volume && this.#now.tempo === wished.tempo) this.#now = before;
    };
  }
}
