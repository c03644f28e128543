import { shownType } from "../../mp4/box.ts";
import { DemuxError } from "../demuxer.ts";
import { Scratch } from "../scratch.ts";

export interface TopBoxReaderOptions {
  /** Called with a whole `moov` or `moof`, including its header. @param position the position of the box */
  readonly onIndex: (type: "moov" | "moof", box: Buffer, position: number) => void;
  /** Called with a piece of the body of an `mdat`. @param position the position of the byte at `start` */
  readonly onData: (bytes: Buffer, start: number, end: number, position: number) => void;
}

type State =
  | { readonly name: "header" }
  | { readonly name: "index"; readonly type: "moov" | "moof"; readonly size: number }
  | { readonly name: "data"; left: number }
  | { readonly name: "skip"; left: number }
  | { readonly name: "lost" };

const HEADER_BYTES = 8;
const LONG_HEADER_BYTES = 16;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const MOOF_START_BYTES = 16;
const PASSED_OVER = new Set([
  "ftyp",
  "styp",
  "sidx",
  "ssix",
  "emsg",
  "prft",
  "free",
  "skip",
  "wide",
  "uuid",
  "pdin",
  "meta",
  "mfra",
]);
/** More bytes than any real file has. A box that extends to the end of the file is given twice this size. */
const OPEN_END_BYTES = 2 ** 52;
/** The number of bytes that are searched for the beginning of a fragment in one step. */
const SEARCHED_BYTES = 64 * 1024;

/** Reads the outermost boxes of an MP4 file in pieces of any size. Positions count from the last flush. */
export class TopBoxReader {
  readonly #options: TopBoxReaderOptions;
  readonly #kept = new Scratch(MAX_INDEX_BYTES);
  #state: State = { name: "header" };
  #position = 0;
  #known = false;

  constructor(options: TopBoxReaderOptions) {
    this.#options = options;
  }

  /** Reads the next bytes. @throws DemuxError if they do not begin like an MP4 file, or if an index is too large. */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) at = this.#step(chunk, at);
  }

  /** True if the bytes so far end inside an index or inside media, and the box declares more bytes. */
  get isInside(): boolean {
    const state = this.#state;
    return state.name === "index" || (state.name === "data" && state.left < OPEN_END_BYTES);
  }

  flush(): void {
    this.#kept.clear();
    this.#state = { name: "header" };
    this.#position = 0;
  }

  /** Processes a part of the chunk. @returns the position up to which the chunk was used */
  #step(chunk: Buffer, at: number): number {
    const state = this.#state;
    switch (state.name) {
      case "header": {
        const long = this.#kept.length >= HEADER_BYTES && this.#kept.bytes.readUInt32BE(0) === 1;
        const next = this.#keep(chunk, at, long ? LONG_HEADER_BYTES : HEADER_BYTES);
        this.#readHeader();
        return next;
      }
      case "index": {
        const next = this.#keep(chunk, at, state.size);
        if (this.#kept.length === state.size) this.#giveIndex(state);
        return next;
      }
      case "data":
      case "skip": {
        const end = Math.min(chunk.length, at + state.left);
        if (state.name === "data") this.#options.onData(chunk, at, end, this.#position);
        this.#position += end - at;
        state.left -= end - at;
        if (state.left === 0) this.#state = { name: "header" };
        return end;
      }
      default:
        return this.#search(chunk, at);
    }
  }

  #keep(chunk: Buffer, at: number, wanted: number): number {
    const end = Math.min(chunk.length, at + wanted - this.#kept.length);
    if (!this.#kept.append(chunk, at, end)) throw new DemuxError("The MP4 has a box that is too large.");
    this.#position += end - at;
    return end;
  }

  #readHeader(): void {
    const { bytes, length } = this.#kept;
    if (length < HEADER_BYTES) return;
    const type = bytes.toString("latin1", 4, 8);
    let size = bytes.readUInt32BE(0);
    if (size === 1 && length < LONG_HEADER_BYTES) return;
    if (size === 1) size = bytes.readUInt32BE(8) * 2 ** 32 + bytes.readUInt32BE(12);
    // Size 0 means that the box extends to the end of the file.
    if (size === 0) size = 2 * OPEN_END_BYTES;
    if (size < length || !/^[\x20-\x7e\xa9]{4}$/.test(type)) return this.#lose();
    if (type === "moov" || type === "moof") {
      if (size > MAX_INDEX_BYTES) throw new DemuxError(`The MP4's box ${shownType(type)} is too large.`);
      this.#known = true;
      this.#state = { name: "index", type, size };
      if (size === length) this.#giveIndex(this.#state);
      return;
    }
    const known = type === "mdat" || PASSED_OVER.has(type);
    // An unknown type may be noise that looks like a box.
    if (!known && (!this.#known || size > MAX_INDEX_BYTES)) return this.#lose();
    this.#known = true;
    this.#kept.length = 0;
    this.#state =
      size === length ? { name: "header" } : { name: type === "mdat" ? "data" : "skip", left: size - length };
  }

  #giveIndex({ type, size }: { readonly type: "moov" | "moof"; readonly size: number }): void {
    const box = Buffer.from(this.#kept.bytes.subarray(0, size));
    this.#kept.clear();
    this.#state = { name: "header" };
    this.#options.onIndex(type, box, this.#position - size);
  }

  #lose(): void {
    if (!this.#known) throw new DemuxError("The bytes are not a fragmented MP4.");
    this.#state = { name: "lost" };
  }

  /**
   * Searches for a fragment, which begins with a `moof` that contains an `mfhd` (ISO/IEC 14496-12, 8.8.4 and 8.8.5).
   */
  #search(chunk: Buffer, at: number): number {
    const kept = this.#kept;
    const end = Math.min(chunk.length, at + SEARCHED_BYTES);
    kept.append(chunk, at, end);
    this.#position += end - at;
    const searched = kept.bytes.subarray(0, kept.length);
    let found = searched.indexOf("mfhd", 0, "latin1");
    for (; found >= 0; found = searched.indexOf("mfhd", found + 1, "latin1")) {
      const start = found - MOOF_START_BYTES + 4;
      if (start < 0 || searched.toString("latin1", start + 4, start + 8) !== "moof") continue;
      const size = searched.readUInt32BE(start);
      if (size <= MOOF_START_BYTES || size > MAX_INDEX_BYTES) continue;
      const unread = kept.length - found - 4;
      kept.length -= unread;
      kept.drop(start);
      this.#position -= unread;
      this.#state = { name: "index", type: "moof", size };
      return end - unread;
    }
    // The last bytes are kept, because a fragment's beginning may lie across two chunks.
    kept.drop(Math.max(0, kept.length - MOOF_START_BYTES));
    return end;
  }
}
