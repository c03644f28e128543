import {
  type FragmentPointer,
  type FragmentTrack,
  readFragment,
  readRandomAccess,
  readSegmentIndex,
} from "./fragment-header.ts";
import type { FragmentedMovie } from "./fragmented-movie.ts";
import { Mp4Error } from "./mp4-error.ts";

/** A file that can be read from any byte. `RangeStream` implements it. */
export interface FragmentFile {
  readonly totalBytes: number | null;
  readonly seekable: boolean;
  fork(startByte: number): FragmentReader;
}

export interface FragmentReader {
  readonly position: number;
  readInto(target: Buffer, at?: number): Promise<boolean>;
  seek(position: number): Promise<void>;
  close(): Promise<void>;
}

/** A fragment with a keyframe. */
export interface FoundFragment {
  readonly startByte: number;
  /** The position of the fragment's first sample, ms from the beginning of the first fragment. */
  readonly startMs: number;
}

interface Fragment extends FoundFragment {
  readonly endMs: number;
  readonly sync: boolean;
  readonly holdsSync: boolean;
}

const MAX_PROBES = 24;
/** Once the search is this close to the position, it reads the fragments one by one, ms. */
const NEAR_MS = 8000;
/**
 * How far before the position a search starts, ms. Each distance is tried in turn until a fragment with a keyframe is found.
 */
const STEPS_BACK_MS = [0, 4000, 15_000, 60_000];
const CHUNK_BYTES = 64 * 1024;
/** The largest fragment that is supported. It holds 10 s at 50 Mbit/s. */
const MAX_FRAGMENT_BYTES = 64 * 1024 * 1024;
const MAX_HEADER_BYTES = 4 * 1024 * 1024;
/**
 * The maximum number of places that look like a fragment but are not. Bytes rarely look like one by chance, so a file with this many
 * false starts is treated as an attack.
 */
const MAX_FALSE_STARTS = 32;
/** The largest number of boxes between two fragments of a track. Real files have a few. */
const MAX_WALKED_BOXES = 1000;
const FIRST_TAIL_BYTES = 256 * 1024;
/**
 * The beginning of a fragment: `moof` and the header of its first box, which is always `mfhd` and 16 bytes long
 * (ISO/IEC 14496-12, 8.8.5).
 */
const FRAGMENT_START = Buffer.from("moof\0\0\0\x10mfhd", "latin1");

/** Finds positions in a fragmented file with few requests, by the file's own index or by bisection over its bytes. */
export class FragmentFinder {
  readonly #file: FragmentFile;
  readonly #movie: FragmentedMovie;
  readonly #clock: FragmentTrack;
  #requests = 0;
  #falseStarts = 0;
  /** The decode time of the file's first sample, from which positions are counted. */
  #firstTime: number | undefined;
  #first: Promise<Fragment | null> | undefined;
  #pointers: Promise<readonly FragmentPointer[]> | undefined;
  #last: Promise<Fragment | null> | undefined;

  constructor(file: FragmentFile, movie: FragmentedMovie) {
    this.#file = file;
    this.#movie = movie;
    this.#clock = movie.clock ?? { id: 0, timescale: 1, defaultDuration: 0, defaultFlags: 0 };
  }

  /** The number of requests so far. */
  get requests(): number {
    return this.#requests;
  }

  /**
   * Returns the duration of the file, ms, or null if neither its index nor its last fragment shows it.
   *
   * @throws RoomcastError if the file cannot be read
   */
  async durationMs(): Promise<number | null> {
    if (this.#movie.durationMs !== null) return this.#movie.durationMs;
    if (!this.#file.seekable || (await this.#firstFragment()) === null) return null;
    const last = await this.#lastFragment();
    if (last !== null) return last.endMs;
    const pointer = (await this.#listed()).at(-1);
    return pointer === undefined ? null : this.#msOf(pointer.time);
  }

  /**
   * Returns true if an index in the file lists fragments after the file's end.
   *
   * @throws RoomcastError if the file cannot be read
   */
  async isCut(): Promise<boolean> {
    const { totalBytes } = this.#file;
    const last = (await this.#listed()).at(-1);
    return totalBytes !== null && last !== undefined && last.startByte >= totalBytes;
  }

  /**
   * Returns the last fragment with a keyframe that is not after the position, or null if the file must be played from
   * its beginning.
   *
   * @throws RoomcastError if the file cannot be read
   */
  async find(startMs: number): Promise<FoundFragment | null> {
    if (startMs <= 0 || !this.#file.seekable || this.#file.totalBytes === null) return null;
    const first = await this.#firstFragment();
    if (first === null) return null;
    const fromMs = Math.min(startMs, (await this.durationMs()) ?? startMs);
    for (const backMs of STEPS_BACK_MS) {
      const near = await this.#near(Math.max(0, fromMs - backMs), first);
      const found = await this.#walk(near.startByte, fromMs);
      if (found !== null) return { startByte: found.startByte, startMs: found.startMs };
      if (near.startByte <= first.startByte) return null;
    }
    return null;
  }

  /**
   * Returns a fragment that is not after the position. The fragment is close to the position unless finding such a one
   * would take too many requests.
   */
  async #near(targetMs: number, first: Fragment): Promise<FoundFragment> {
    const endByte = this.#file.totalBytes ?? 0;
    const isBefore = ({ time, startByte }: FragmentPointer) => this.#msOf(time) <= targetMs && startByte < endByte;
    const listed = (await this.#listed()).findLast(isBefore);
    if (listed !== undefined) return { startByte: listed.startByte, startMs: this.#msOf(listed.time) };
    const last = await this.#lastFragment();
    let low: Pick<Fragment, "startByte" | "startMs"> = first;
    let high = { startByte: endByte, startMs: last?.endMs ?? Number.POSITIVE_INFINITY };
    if (last !== null && last.startMs <= targetMs) return last;
    for (let probe = 0; probe < MAX_PROBES; probe += 1) {
      if (targetMs - low.startMs <= NEAR_MS || high.startByte - low.startByte <= CHUNK_BYTES) break;
      const middle = guess(low, high, { targetMs, halve: probe % 2 === 1 || !Number.isFinite(high.startMs) });
      const found = await this.#scan(middle, high.startByte);
      if (found === null) high = { ...high, startByte: middle };
      else if (found.startMs <= targetMs) low = found;
      // If the found fragment is after the position, no other fragment begins between `middle` and the found one.
      else high = { startByte: middle, startMs: found.startMs };
    }
    return low;
  }

  /** Reads fragments one by one up to the position, and returns the last one with a keyframe. */
  async #walk(startByte: number, targetMs: number): Promise<Fragment | null> {
    const reader = this.#open(startByte);
    let found: Fragment | null = null;
    try {
      for (;;) {
        const next = await this.#nextFragment(reader);
        if (next === null || next.startMs > targetMs) return found;
        if (next.sync || (next.holdsSync && next.endMs <= targetMs)) found = next;
      }
    } finally {
      await reader.close();
    }
  }

  /** Returns the next fragment of the track. The reader must be at the beginning of a box. */
  async #nextFragment(reader: FragmentReader): Promise<Fragment | null> {
    for (let boxes = 0; boxes < MAX_WALKED_BOXES; boxes += 1) {
      const startByte = reader.position;
      const header = Buffer.alloc(8);
      if (!(await reader.readInto(header))) return null;
      const type = header.toString("latin1", 4, 8);
      let bytes = header.readUInt32BE(0);
      if (bytes === 1) {
        const long = Buffer.alloc(8);
        if (!(await reader.readInto(long))) return null;
        bytes = Number(long.readBigUInt64BE(0));
      }
      const endByte = startByte + bytes;
      if (endByte < reader.position || endByte > (this.#file.totalBytes ?? Number.MAX_SAFE_INTEGER)) return null;
      if (type === "moof") {
        const fragment = await this.#read(reader, startByte, endByte - reader.position);
        if (fragment !== null) return fragment;
      }
      await reader.seek(endByte);
    }
    return null;
  }

  /** Searches for the beginning of a fragment, starting at any byte. */
  async #scan(
    fromByte: number,
    endByte: number,
    confirm = (at: number) => this.#confirm(at),
  ): Promise<Fragment | null> {
    if (this.#falseStarts >= MAX_FALSE_STARTS) return null;
    const reader = this.#open(fromByte);
    let window = Buffer.alloc(0);
    try {
      while (reader.position < Math.min(endByte, fromByte + MAX_FRAGMENT_BYTES)) {
        const chunkStart = reader.position;
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, endByte - chunkStart));
        if (!(await reader.readInto(chunk))) return null;
        const windowStart = chunkStart - window.length;
        window = Buffer.concat([window, chunk]);
        for (let at = window.indexOf(FRAGMENT_START, 4); at >= 4; at = window.indexOf(FRAGMENT_START, at + 1)) {
          const fragment = await confirm(windowStart + at - 4);
          if (fragment !== null) return fragment;
          this.#falseStarts += 1;
          if (this.#falseStarts >= MAX_FALSE_STARTS) return null;
        }
        window = window.subarray(Math.max(0, window.length - FRAGMENT_START.length - 4));
      }
      return null;
    } finally {
      await reader.close();
    }
  }

  /** Reads the fragment at a byte, or returns null if the bytes there only look like a fragment. */
  async #confirm(startByte: number): Promise<Fragment | null> {
    const reader = this.#open(startByte);
    try {
      return await this.#nextFragment(reader);
    } finally {
      await reader.close();
    }
  }

  async #read(reader: FragmentReader, startByte: number, bodyBytes: number): Promise<Fragment | null> {
    if (bodyBytes > MAX_HEADER_BYTES) return null;
    const body = Buffer.alloc(bodyBytes);
    if (!(await reader.readInto(body))) return null;
    const times = leniently(() => readFragment(body, this.#clock));
    if (times === null) return null;
    this.#firstTime ??= times.start;
    const { start, duration, sync, holdsSync } = times;
    return { startByte, startMs: this.#msOf(start), endMs: this.#msOf(start + duration), sync, holdsSync };
  }

  #msOf(time: number): number {
    return ((time - (this.#firstTime ?? 0)) * 1000) / this.#clock.timescale;
  }

  #firstFragment(): Promise<Fragment | null> {
    this.#first ??= this.#confirm(this.#movie.mediaByte);
    return this.#first;
  }

  /** Returns the file's own index of fragments, which is after its head or at its end. It may be empty. */
  #listed(): Promise<readonly FragmentPointer[]> {
    this.#pointers ??= this.#readLists();
    return this.#pointers;
  }

  async #readLists(): Promise<readonly FragmentPointer[]> {
    const { mediaByte } = this.#movie;
    const front = await this.#boxAt(mediaByte, "sidx");
    if (front !== null) return leniently(() => readSegmentIndex(front.body, front.endByte, this.#clock)) ?? [];
    const { totalBytes, seekable } = this.#file;
    if (!seekable || totalBytes === null || totalBytes < mediaByte + 16) return [];
    const reader = this.#open(totalBytes - 16);
    const tail = Buffer.alloc(16);
    const isRead = await reader.readInto(tail);
    await reader.close();
    if (!isRead || tail.toString("latin1", 4, 8) !== "mfro") return [];
    const mfra = await this.#boxAt(totalBytes - tail.readUInt32BE(12), "mfra");
    return mfra === null ? [] : (leniently(() => readRandomAccess(mfra.body, this.#clock)) ?? []);
  }

  async #boxAt(startByte: number, type: string): Promise<{ body: Buffer; endByte: number } | null> {
    if (startByte < 0) return null;
    const reader = this.#open(startByte);
    try {
      const header = Buffer.alloc(8);
      if (!(await reader.readInto(header)) || header.toString("latin1", 4, 8) !== type) return null;
      const bytes = header.readUInt32BE(0);
      if (bytes < 8 || bytes > MAX_HEADER_BYTES) return null;
      const body = Buffer.alloc(bytes - 8);
      return (await reader.readInto(body)) ? { body, endByte: startByte + bytes } : null;
    } finally {
      await reader.close();
    }
  }

  #lastFragment(): Promise<Fragment | null> {
    this.#last ??= this.#findLast();
    return this.#last;
  }

  /**
   * Searches an ever larger tail of the file for a fragment, then reads on from that fragment and returns the last one.
   */
  async #findLast(): Promise<Fragment | null> {
    const { totalBytes, seekable } = this.#file;
    if (!seekable || totalBytes === null || (await this.#firstFragment()) === null) return null;
    for (let tail = FIRST_TAIL_BYTES; tail <= MAX_FRAGMENT_BYTES; tail *= 8) {
      const from = Math.max(this.#movie.mediaByte, totalBytes - tail);
      const last = await this.#scan(from, totalBytes, (startByte) => this.#lastFrom(startByte));
      if (last !== null) return last;
      if (from === this.#movie.mediaByte) return null;
    }
    return null;
  }

  /** Returns the last fragment of the sequence that begins here, or null if no fragment begins here. */
  async #lastFrom(startByte: number): Promise<Fragment | null> {
    const reader = this.#open(startByte);
    let last: Fragment | null = null;
    try {
      for (;;) {
        const next = await this.#nextFragment(reader);
        if (next === null) return last;
        last = next;
      }
    } finally {
      await reader.close();
    }
  }

  #open(startByte: number): FragmentReader {
    this.#requests += 1;
    return this.#file.fork(startByte);
  }
}

/**
 * Returns the byte for the next probe: shortly before the place that a constant bit rate suggests, or the middle if
 * `halve` is set.
 */
function guess(
  low: Pick<Fragment, "startByte" | "startMs">,
  high: Pick<Fragment, "startByte" | "startMs">,
  { targetMs, halve }: { readonly targetMs: number; readonly halve: boolean },
): number {
  const share = halve ? 0.5 : Math.max(0.01, (targetMs - NEAR_MS / 2 - low.startMs) / (high.startMs - low.startMs));
  const bytes = high.startByte - low.startByte;
  return low.startByte + Math.max(1, Math.min(bytes - 1, Math.floor(bytes * share)));
}

function leniently<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Mp4Error) return null;
    throw error;
  }
}
