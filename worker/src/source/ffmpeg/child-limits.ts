import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { RoomcastError } from "@roomcast/shared";

/** What one ffmpeg or ffprobe may take of the machine. */
export interface ChildLimits {
  /** Memory that it really uses. A child that takes more is ended: see `ChildMemory`. */
  readonly residentBytes: number;
  /** Addresses that the kernel gives it, whatever it does between two looks at its memory. */
  readonly addressBytes: number;
  /** CPU time; null: as long as the push lasts. */
  readonly cpuS: number | null;
}

const MIB = 1024 * 1024;
/** Each thread reserves a stack. */
const ADDRESSES_PER_CORE = 24 * MIB;

/** 4K in 10 bits, decoded by 16 threads, takes some 700 MB. */
export const FFMPEG_LIMITS: ChildLimits = {
  residentBytes: 1536 * MIB,
  addressBytes: 3072 * MIB + availableParallelism() * ADDRESSES_PER_CORE,
  cpuS: null,
};

/** The index of a film of a day takes some 300 MB. */
export const FFPROBE_LIMITS: ChildLimits = {
  residentBytes: 768 * MIB,
  addressBytes: 1280 * MIB + availableParallelism() * ADDRESSES_PER_CORE,
  cpuS: 60,
};

/** 8192x4352. Larger pictures are refused before memory is taken for them. */
export const MAX_PIXELS = 8192 * 4352;
/** A whole satellite transponder has some 150. */
const MAX_STREAMS = 256;
/** Of one piece of memory: less than an index, more than a picture. */
const MAX_ALLOC_BYTES = 384 * MIB;
const PROBE_BYTES = 5_000_000;

/** Options in front of an input, for ffprobe too. */
export function memoryOptions(): string[] {
  return [
    ["-max_alloc", String(MAX_ALLOC_BYTES)],
    ["-max_pixels", String(MAX_PIXELS)],
    ["-max_streams", String(MAX_STREAMS)],
    ["-probesize", String(PROBE_BYTES)],
  ].flat();
}

/** Any system that has a shell at all has it here. */
const SHELL = "/bin/sh";

export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * How a program is started with its limits: by a shell that sets them and then becomes the program, so that the process
 * that is killed and waited for is the program's. Where there is no shell, or it lacks a limit, the program runs without.
 */
export function limitedCommand(program: string, args: readonly string[], limits: ChildLimits): ChildCommand {
  if (!existsSync(SHELL)) return { command: program, args };
  const kib = Math.floor(limits.addressBytes / 1024);
  const cpu = limits.cpuS === null ? "" : `ulimit -t ${limits.cpuS} 2>/dev/null; `;
  // glibc reserves 64 MB of addresses for each arena, and by itself makes one for nearly every thread.
  const script = `MALLOC_ARENA_MAX=4; export MALLOC_ARENA_MAX; ulimit -v ${kib} 2>/dev/null; ulimit -c 0 2>/dev/null; ${cpu}exec "$@"`;
  return { command: SHELL, args: ["-c", script, "sh", program, ...args] };
}

/** A source that needs more than one may have. */
export function tooMuchMemory(limitBytes: number): RoomcastError {
  return new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The source needs more memory than the ${Math.round(limitBytes / MIB)} MB that it may have on this worker: its ` +
      "pictures are too large, it has too many tracks, or its headers are damaged. Give a smaller copy of it.",
  );
}

/** @throws RoomcastError `FailedOperation.SourceUnsupported` where a picture is larger than any that is decoded. */
export function refuseHugePictures(video: { readonly width: number; readonly height: number } | null): void {
  if (video === null || video.width * video.height <= MAX_PIXELS) return;
  throw new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The source's pictures are too large (${video.width}x${video.height}): at most ${MAX_PIXELS} pixels, such as ` +
      "8192x4320, are decoded. Give a smaller copy of it.",
  );
}
