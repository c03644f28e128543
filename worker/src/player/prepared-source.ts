import { RoomcastError } from "@roomcast/shared";
import type { AudioFormat, Canvas } from "../media/formats.ts";
import type { Source } from "../source/source.ts";
import type { Settings } from "./play-settings.ts";

/** The picture size and audio format of a session, the same for all of its sources. */
export interface SessionFormat {
  readonly canvas: Canvas;
  readonly audioFormat: AudioFormat;
}

/** The source to open, and how to play it. */
export interface SourceRequest extends Settings {
  readonly url: string;
  /** Position to start at, ms. */
  readonly startAtMs: number;
  /** True if the room has seen the source and still sees its last picture. */
  readonly returns?: boolean;
  /** Undefined if nothing was sent yet, so that this source sets the format. */
  readonly format: SessionFormat | undefined;
}

export type OpenSource = (request: SourceRequest, signal: AbortSignal) => Promise<Source>;

type PreparedState =
  | { readonly name: "opening" }
  | { readonly name: "ready"; readonly source: Source }
  | { readonly name: "failed"; readonly error: RoomcastError }
  /** The source was handed over or closed. */
  | { readonly name: "gone" };

/** A source that is being opened or is ready to go on the air. Owns the source until it is taken. */
export class PreparedSource {
  readonly request: SourceRequest;
  /** Called once, when the source is ready or has failed. */
  onSettled: (() => void) | undefined;
  readonly #abort = new AbortController();
  readonly #settled: Promise<void>;
  #state: PreparedState = { name: "opening" };

  constructor(request: SourceRequest, open: OpenSource) {
    this.request = request;
    this.#settled = this.#open(open);
  }

  get state(): PreparedState {
    return this.#state;
  }

  /** Hands the source over. Must be called only when the source is ready. */
  take(): Source {
    if (this.#state.name !== "ready") throw new RoomcastError("InternalError", "The source is not ready.");
    const { source } = this.#state;
    this.#state = { name: "gone" };
    return source;
  }

  /**
   * Cancels the opening or closes the source, unless the source was taken. Resolves when everything is closed.
   * Idempotent.
   */
  async discard(): Promise<void> {
    this.onSettled = undefined;
    const before = this.#state;
    this.#state = { name: "gone" };
    this.#abort.abort();
    await this.#settled;
    if (before.name === "ready") await before.source.close();
  }

  async #open(open: OpenSource): Promise<void> {
    try {
      const source = await open(this.request, this.#abort.signal);
      if (this.#state.name === "gone") await source.close();
      else this.#state = { name: "ready", source };
    } catch (thrown) {
      if (this.#state.name !== "gone") this.#state = { name: "failed", error: RoomcastError.from(thrown) };
    }
    this.onSettled?.();
  }
}

/** Sources that are being closed in the background. The player waits for all of them before it ends. */
export class ClosingSources {
  readonly #running = new Set<Promise<void>>();

  add(closing: Promise<void>): void {
    const tracked = closing.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }
}
