import { RoomcastError } from "@roomcast/shared";
import type { MediaTag } from "../../media/media-tag.ts";
import type { Source, SourceEnd } from "../source.ts";
import type { FedTag } from "./fed-tag.ts";
import { FlvStream, type RunStream } from "./flv-stream.ts";
import { MatroskaStream } from "./matroska-stream.ts";

/** The receiver of a route's output, in order. */
export interface RouteOutput {
  push(tag: MediaTag): void;
  /** Called once, after all output. `end` is undefined if the route ended with its input. */
  done(end: SourceEnd | undefined): void;
}

/**
 * Passes one run of tags to the room, unchanged or through an encoder. When the source changes its format, a new run
 * begins while the previous run still gives its remaining output.
 */
export interface RunRoute {
  write(tag: FedTag): void;
  /** Ends the input. */
  finish(): void;
  /** Starts the output, which is held until then. */
  attach(output: RouteOutput): void;
  pause(): void;
  resume(): void;
  /** The number of held bytes. */
  readonly heldBytes: number;
  close(): Promise<void>;
}

/** Passes tags on unchanged. */
export class CopyRoute implements RunRoute {
  #held: MediaTag[] = [];
  #heldBytes = 0;
  #finished = false;
  #output: RouteOutput | undefined;

  get heldBytes(): number {
    return this.#heldBytes;
  }

  write(tag: FedTag): void {
    if (this.#output !== undefined) {
      this.#output.push(tag);
      return;
    }
    this.#held.push(tag);
    this.#heldBytes += tag.payload.length;
  }

  finish(): void {
    this.#finished = true;
    this.#output?.done(undefined);
  }

  attach(output: RouteOutput): void {
    this.#output = output;
    for (const tag of this.#held) output.push(tag);
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#finished) output.done(undefined);
  }

  pause(): void {}

  resume(): void {}

  close(): Promise<void> {
    this.#held = [];
    return Promise.resolve();
  }
}

export interface EncodeRouteOptions {
  readonly tracks: { readonly audio: boolean; readonly video: boolean };
  readonly format: "flv" | "matroska";
  /** Starts the encoder on these bytes. */
  readonly encode: (stream: RunStream) => Promise<Source>;
  /** Converts the encoder's time to the continuous clock, given the beginning of the input, ms. */
  readonly placeMs: (baseMs: number, encodedMs: number) => number;
  readonly onFull: () => void;
  readonly onRoom: () => void;
}

/** Transcodes tags with ffmpeg. */
export class EncodeRoute implements RunRoute {
  readonly #options: EncodeRouteOptions;
  readonly #stream: RunStream;
  readonly #opened = Promise.withResolvers<void>();
  #opening: Promise<void> | undefined;
  #source: Source | undefined;
  #failure: RoomcastError | undefined;
  #output: RouteOutput | undefined;
  #paused = false;
  #done = false;
  #closed = false;

  constructor(options: EncodeRouteOptions) {
    this.#options = options;
    this.#stream = options.format === "matroska" ? new MatroskaStream(options) : new FlvStream(options);
  }

  /** Resolves when the encoder gives pictures; rejects with the error if it does not. */
  async ready(): Promise<void> {
    await this.#opened.promise;
    if (this.#failure !== undefined) throw this.#failure;
  }

  get heldBytes(): number {
    return this.#stream.readableLength;
  }

  write(tag: FedTag): void {
    this.#stream.write(tag);
    if (!tag.sequenceHeader) this.#opening ??= this.#open();
  }

  finish(): void {
    this.#stream.finish();
    if (this.#opening === undefined) this.#settle();
  }

  attach(output: RouteOutput): void {
    this.#output = output;
    if (this.#opening !== undefined) this.#pump();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stream.destroy();
    await this.#opening;
    await this.#source?.close();
    this.#opened.resolve();
  }

  async #open(): Promise<void> {
    try {
      this.#source = await this.#options.encode(this.#stream);
      this.#source.onReadable = () => this.#pump();
    } catch (thrown) {
      this.#failure = RoomcastError.from(thrown);
    }
    this.#settle();
  }

  #settle(): void {
    this.#opened.resolve();
    this.#pump();
  }

  #pump(): void {
    const output = this.#output;
    if (output === undefined || this.#done || this.#closed) return;
    const source = this.#source;
    const baseMs = this.#stream.baseMs ?? 0;
    for (let tag = source?.peek(); tag !== undefined && !this.#paused; tag = source?.peek()) {
      source?.shift();
      output.push({ ...tag, dtsMs: this.#options.placeMs(baseMs, tag.dtsMs) });
    }
    const end = this.#endOf(source);
    if (end === undefined) return;
    this.#done = true;
    output.done(end.name === "failed" ? end : undefined);
  }

  /** Returns how the run ended, if it has. A run without media never started an encoder, so it ends with its input. */
  #endOf(source: Source | undefined): SourceEnd | undefined {
    if (this.#failure !== undefined) return { name: "failed", error: this.#failure };
    if (this.#opening === undefined) return { name: "finished" };
    return source?.peek() === undefined ? source?.end : undefined;
  }
}
