import type { HttpClient } from "../../http/http-client.ts";
import { TsDemuxer } from "./ts-demuxer.ts";

/** A file that can be read in parts. */
export interface SeekableFile {
  readonly http: HttpClient;
  readonly url: string;
  readonly totalBytes: number;
}

/** The times of a transport stream file. */
export interface TsTimes {
  /** Decode time of the first media, ms on the stream's clock. */
  readonly firstMs: number;
  /** The duration, ms, or null if the clock is not continuous, so that the duration is unknown. */
  readonly durationMs: number | null;
}

/** The number of bytes that are read to find a time: a second of 1080p at its highest rate. */
const WINDOW_BYTES = 1024 * 1024;
/** The number of positions at which the clock of a file is sampled, and the bytes that are read at each. */
const SAMPLES = 4;
const SAMPLE_BYTES = 256 * 1024;
const MAX_STEPS = 12;
/**
 * The distance before the requested position within which a place is near enough to read from, ms. Keyframes are rarely
 * further apart.
 */
const NEAR_MS = 10_000;
/** The clock's wrap-around (33 bits of 90 kHz), ms. */
const WRAP_MS = 2 ** 33 / 90;
/**
 * The largest factor by which the bit rate of the whole file and that of its end may differ if the clock is plausible.
 */
const RATE_FACTOR = 2.5;
/** The largest step of the clock between two tags, in either direction, ms. A larger one is a jump. */
const LARGEST_STEP_MS = 5000;

/**
 * Reads the times at the beginning and the end of a file.
 *
 * @param head the first bytes of the file
 * @returns null if no time is found
 */
export async function findTsTimes(file: SeekableFile, head: Buffer, signal: AbortSignal): Promise<TsTimes | null> {
  const first = timesIn(head) ?? timesIn(await readWindow(file, 0, signal));
  if (first === null) return null;
  const from = Math.max(0, file.totalBytes - WINDOW_BYTES);
  const tail = await readWindow(file, from, signal);
  const last = timesIn(tail);
  if (last === null || last.jumps) return { firstMs: first.firstMs, durationMs: null };
  const durationMs = onwards(last.lastMs, first.firstMs);
  // If files were joined, the clock restarts, so the time at the end gives the length of the last file only.
  const expectedMs = (file.totalBytes / tail.length) * (last.lastMs - last.firstMs);
  const believable = durationMs < expectedMs * RATE_FACTOR && durationMs > expectedMs / RATE_FACTOR;
  const runs = believable && (await clockRuns(file, first.firstMs, durationMs, signal));
  return { firstMs: first.firstMs, durationMs: runs ? durationMs : null };
}

/** Checks at some positions of a file that time rises with the bytes. */
async function clockRuns(file: SeekableFile, firstMs: number, durationMs: number, signal: AbortSignal) {
  if (file.totalBytes < WINDOW_BYTES) return true;
  const places = Array.from({ length: SAMPLES }, (_, at) => Math.floor((file.totalBytes * (at + 1)) / (SAMPLES + 1)));
  const windows = await Promise.all(places.map((start) => readWindow(file, start, signal, SAMPLE_BYTES)));
  let beforeMs = 0;
  for (const window of windows) {
    const found = timesIn(window);
    if (found === null) continue;
    const atMs = onwards(found.firstMs, firstMs);
    if (found.jumps || atMs < beforeMs || atMs > durationMs) return false;
    beforeMs = atMs;
  }
  return true;
}

/** A place in a file: the byte, and the position in the source of the media that follow it. */
export interface TsPlace {
  readonly startByte: number;
  readonly startMs: number;
}

export const FILE_START: TsPlace = { startByte: 0, startMs: 0 };

/**
 * Finds a place in the file shortly before the requested position.
 *
 * @returns the beginning of the file if the clock is not continuous
 */
export async function findTsByte(
  file: SeekableFile,
  times: TsTimes,
  positionMs: number,
  signal: AbortSignal,
): Promise<TsPlace> {
  if (times.durationMs === null || positionMs < NEAR_MS) return FILE_START;
  let low = FILE_START;
  let high = { startByte: file.totalBytes, startMs: times.durationMs };
  for (let step = 0; step < MAX_STEPS && positionMs - low.startMs > NEAR_MS; step += 1) {
    const share = (positionMs - NEAR_MS / 2 - low.startMs) / Math.max(1, high.startMs - low.startMs);
    const bytes = (high.startByte - low.startByte) * Math.min(0.98, Math.max(0.02, share));
    const startByte = Math.floor(low.startByte + bytes);
    const found = timesIn(await readWindow(file, startByte, signal));
    const startMs = found === null ? null : onwards(found.firstMs, times.firstMs);
    // If the clock does not rise with the bytes, the search ends at the best place so far.
    if (startMs === null || startMs > times.durationMs + NEAR_MS) return low;
    if (startMs <= positionMs) low = { startByte, startMs };
    else high = { startByte, startMs };
    if (high.startByte - low.startByte <= WINDOW_BYTES) break;
  }
  return low;
}

function onwards(ms: number, fromMs: number): number {
  return (((ms - fromMs) % WRAP_MS) + WRAP_MS) % WRAP_MS;
}

async function readWindow(
  file: SeekableFile,
  start: number,
  signal: AbortSignal,
  bytes = WINDOW_BYTES,
): Promise<Buffer> {
  const end = Math.min(file.totalBytes, start + bytes) - 1;
  const parts: Buffer[] = [];
  const { body } = await file.http.open(file.url, { signal, range: { start, end } });
  for await (const chunk of body) parts.push(chunk);
  return Buffer.concat(parts);
}

interface WindowTimes {
  readonly firstMs: number;
  readonly lastMs: number;
  /** True if the clock is not continuous in the window. */
  readonly jumps: boolean;
}

function timesIn(bytes: Buffer): WindowTimes | null {
  let firstMs: number | undefined;
  let lastMs: number | undefined;
  let jumps = false;
  const demuxer = new TsDemuxer({
    onTracks: (tracks) => {
      const idOf = (kind: string) => tracks.find((track) => track.kind === kind)?.id ?? null;
      return { video: idOf("video"), audio: idOf("audio") };
    },
    onTag: ({ sequenceHeader, dtsMs }) => {
      if (sequenceHeader) return;
      jumps ||= lastMs !== undefined && Math.abs(dtsMs - lastMs) > LARGEST_STEP_MS;
      firstMs = Math.min(firstMs ?? dtsMs, dtsMs);
      lastMs = Math.max(lastMs ?? dtsMs, dtsMs);
    },
  });
  demuxer.push(bytes);
  demuxer.flush();
  return firstMs === undefined || lastMs === undefined ? null : { firstMs, lastMs, jumps };
}
