import type { Logger } from "pino";
import { type OpenSource, PreparedSource, type SourceRequest } from "./prepared-source.ts";

export interface PreloadsOptions {
  readonly open: OpenSource;
  readonly log: Logger;
}

/** Sources that are opened in advance, so that a switch to one of them is immediate. */
export class Preloads {
  readonly #options: PreloadsOptions;
  readonly #prepared = new Map<string, PreparedSource>();

  constructor(options: PreloadsOptions) {
    this.#options = options;
  }

  get all(): readonly PreparedSource[] {
    return [...this.#prepared.values()];
  }

  /** Keeps exactly these sources open and closes all others. */
  set(requests: readonly SourceRequest[]): void {
    const wanted = new Map(requests.map((request) => [keyOf(request), request]));
    for (const [key, prepared] of this.#prepared) {
      if (wanted.has(key)) continue;
      this.#prepared.delete(key);
      void prepared.discard();
    }
    for (const [key, request] of wanted) {
      if (!this.#prepared.has(key)) this.#prepare(key, request);
    }
  }

  /** Hands over the source for exactly this request. Returns undefined if there is none or it has failed. */
  take(request: SourceRequest): PreparedSource | undefined {
    const key = keyOf(request);
    const prepared = this.#prepared.get(key);
    this.#prepared.delete(key);
    if (prepared !== undefined) prepared.onSettled = undefined;
    return prepared?.state.name === "failed" ? undefined : prepared;
  }

  async close(): Promise<void> {
    const all = [...this.#prepared.values()];
    this.#prepared.clear();
    await Promise.all(all.map((prepared) => prepared.discard()));
  }

  #prepare(key: string, request: SourceRequest): void {
    const prepared = new PreparedSource(request, this.#options.open);
    this.#prepared.set(key, prepared);
    prepared.onSettled = () => {
      if (prepared.state.name !== "failed") return;
      this.#options.log.warn({ err: prepared.state.error }, "a source could not be preloaded");
    };
  }
}

function keyOf({ url, startAtMs, volume, tempo, audioTrack, maxHeight, format }: SourceRequest): string {
  return JSON.stringify([url, startAtMs, volume, tempo, audioTrack, maxHeight, format]);
}
