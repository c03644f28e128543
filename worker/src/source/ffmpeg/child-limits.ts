import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { RoomcastError } from "@roomcast/shared";

/** The resources of the machine that one ffmpeg or ffprobe may use. */
export interface ChildLimits {
  /** Resident memory, bytes. A child that uses more is ended: see `ChildMemory`. */
  readonly residentBytes: number;
  /**
   * Address space, bytes. The kernel enforces this limit at all times, whereas the resident memory is checked only now
   * and then.
   */
  readonly addressBytes: number;
  /** CPU time, seconds; null for no limit, because the process runs as long as the push. */
  readonly cpuS: number | null;
}

const MIB = 1024 * 1024;
/** The address space that the threads of one core may need: each thread reserves some for its stack. */
const ADDRESSES_PER_CORE = 24 * MIB;

/** The limits of ffmpeg. Decoding 4K pictures in 10 bits with 16 threads takes about 700 MB. */
export const FFMPEG_LIMITS: ChildLimits = {
  residentBytes: 1536 * MIB,
  addressBytes: 3072 * MIB + availableParallelism() * ADDRESSES_PER_CORE,
  cpuS: null,
};

/** The limits of ffprobe. The index of a day-long film takes about 300 MB. */
export const FFPROBE_LIMITS: ChildLimits = {
  residentBytes: 768 * MIB,
  addressBytes: 1280 * MIB + availableParallelism() * ADDRESSES_PER_CORE,
  cpuS: 60,
};

/** The most pixels of a picture: 8192x4352. Larger pictures are refused before memory is taken for them. */
export const MAX_PIXELS = 8192 * 4352;
/** The most streams of a source. A whole satellite transponder has about 150. */
const MAX_STREAMS = 256;
/** The largest single allocation, bytes: more than the largest picture needs. */
const MAX_ALLOC_BYTES = 384 * MIB;
const PROBE_BYTES = 5_000_000;

/** Returns the options that limit memory. They precede an input of ffmpeg or ffprobe. */
export function memoryOptions(): string[] {
  return [
    ["-max_alloc", String(MAX_ALLOC_BYTES)],
    ["-max_pixels", String(MAX_PIXELS)],
    ["-max_streams", String(MAX_STREAMS)],
    ["-probesize", String(PROBE_BYTES)],
  ].flat();
}

/** The path of the shell, which is the same on every system that has one. */
const SHELL = "/bin/sh";

export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * Returns the command that starts a program with its limits. A shell sets the limits and then replaces itself by the
 * program, so that the process that is killed and awaited is the program. Without a shell, or if the shell does not
 * know a limit, the program runs without it.
 */
export function limitedCommand(program: string, args: readonly string[], limits: ChildLimits): ChildCommand {
  if (!existsSync(SHELL)) return { command: program, args };
  const kib = Math.floor(limits.addressBytes / 1024);
  const cpu = limits.cpuS === null ? "" : `ulimit -t ${limits.cpuS} 2>/dev/null; `;
  // By default glibc makes an arena for nearly every thread and reserves 64 MB of address space for each.
  const script = `MALLOC_ARENA_MAX=4; export MALLOC_ARENA_MAX; ulimit -v ${kib} 2>/dev/null; ulimit -c 0 2>/dev/null; ${cpu}exec "$@"`;
  return { command: SHELL, args: ["-c", script, "sh", program, ...args] };
}

/** Returns the error for a source that needs more memory than one child may use. */
export function tooMuchMemory(limitBytes: number): RoomcastError {
  return new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The source needs more memory than the ${Math.round(limitBytes / MIB)} MB that it may have on this worker: its ` +
      "pictures are too large, it has too many tracks, or its headers are damaged. Give a smaller copy of it.",
  );
}

/** @throws RoomcastError `FailedOperation.SourceUnsupported` if the pictures are too large to decode. */
export function refuseHugePictures(video: { readonly width: number; readonly height: number } | null): void {
  if (video === null || video.width * video.height <= MAX_PIXELS) return;
  throw new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The source's pictures are too large (${video.width}x${video.height}): at most ${MAX_PIXELS} pixels, such as ` +
      "8192x4320, are decoded. Give a smaller copy of it.",
  );
}
