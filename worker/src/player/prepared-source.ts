import { RoomcastError } from "@roomcast/shared";
import type { AudioFormat, Canvas } from "../media/formats.ts";
import type { Source } from "../source/source.ts";
import type { Settings } from "./play-settings.ts";

/** What a session sends is of one size and sound, from its first source to its last. */
export interface SessionFormat {
  readonly canvas: Canvas;
  readonly audioFormat: AudioFormat;
}

/** How a source is to be played. */
export interface SourceRequest extends Settings {
  readonly url: string;
  /** ms from its beginning. */
  readonly startAtMs: number;
  /** The room has seen it, and sees its last picture. */
  readonly returns?: boolean;
  /** undefined: nothing was sent yet, so the source decides. */
  readonly format: SessionFormat | undefined;
}

export type OpenSource = (request: SourceRequest, signal: AbortSignal) => Promise<Source>;

type PreparedState =
  | { readonly name: "opening" }
  | { readonly name: "ready"; readonly source: Source }
  | { readonly name: "failed"; readonly error: RoomcastError }
  /** The source belongs to somebody else now, or was closed. */
  | { readonly name: "gone" };

/** A source that is being opened, or waits to be put on the air. Owns it until it is taken. */
export class PreparedSource {
  readonly request: SourceRequest;
  /** Called once when it is ready or has failed. */
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

  /** Hands the source over; only when it is ready. */
  take(): Source {
    if (this.#state.name !== "ready") throw new RoomcastError("InternalError", "The source is not ready.");
    const { source } = this.#state;
    this.#state = { name: "gone" };
    return source;
  }

  /** Idempotent; resolves when nothing of it is left, unless it was taken. */
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

/** Sources that are being closed in the background. The player waits for all of them before it has ended. */
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
