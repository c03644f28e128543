import { RoomcastError } from "@roomcast/shared";
import type { MediaTag } from "../../media/media-tag.ts";
import type { Source, SourceEnd } from "../source.ts";
import type { FedTag } from "./fed-tag.ts";
import { FlvStream, type RunStream } from "./flv-stream.ts";
import { MatroskaStream } from "./matroska-stream.ts";

/** Takes what a route gives, in order. */
export interface RouteOutput {
  push(tag: MediaTag): void;
  /** Once, when all was given; undefined: as its input ended. */
  done(end: SourceEnd | undefined): void;
}

/**
 * The way of one run of tags to the room: as they are, or through an encoder. A run is what can be played in one piece;
 * where the source changes its format a new one begins, while the one before gives its rest.
 */
export interface RunRoute {
  write(tag: FedTag): void;
  /** No more input comes. */
  finish(): void;
  /** From here on output is given; until then it is held. */
  attach(output: RouteOutput): void;
  pause(): void;
  resume(): void;
  /** Bytes that are held until somebody takes them. */
  readonly heldBytes: number;
  close(): Promise<void>;
}

/** Passes tags on as they are. */
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
  /** Where on the continuous clock what comes out stands, given where the input began and the encoder's own time, ms. */
  readonly placeMs: (baseMs: number, encodedMs: number) => number;
  readonly onFull: () => void;
  readonly onRoom: () => void;
}

/** Sends tags through an ffmpeg that decodes and encodes them. */
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

  /** Resolves when the encoder gives pictures; rejects with why it does not. */
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

  /** A run without media never started an encoder: its end is there with the end of its input. */
  #endOf(source: Source | undefined): SourceEnd | undefined {
    if (this.#failure !== undefined) return { name: "failed", error: this.#failure };
    if (this.#opening === undefined) return { name: "finished" };
    return source?.peek() === undefined ? source?.end : undefined;
  }
}
