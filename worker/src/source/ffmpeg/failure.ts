import { RoomcastError } from "@roomcast/shared";
import type { SourceEnd } from "../source.ts";
import { FFMPEG_LIMITS, MAX_PIXELS, tooMuchMemory } from "./child-limits.ts";
import type { FfmpegExit } from "./ffmpeg-process.ts";

/** The facts that are known after an ffmpeg that read a source has ended by itself. */
export interface EndFacts {
  readonly exit: FfmpegExit;
  /** The error of the last request upstream, if it failed. */
  readonly upstreamFailure: RoomcastError | undefined;
  /** True if every end is a loss, because the source is live. */
  readonly endIsLoss: boolean;
  /** The end of the last media, ms on the source's clock; null if no media came. */
  readonly playedToMs: number | null;
  /** The duration that the container declares, ms; null if it is live, not declared, or only estimated. */
  readonly declaredMs: number | null;
  /** True if the declared duration also counts tracks that are not played; false unless given. */
  readonly declaredIsRough?: boolean | undefined;
  /** True for a fragmented file, whose declared duration may cover only the present fragments. False unless given. */
  readonly inFragments?: boolean | undefined;
}

/**
 * The part of the declared duration that may be missing, at most 1 s: tracks end a little apart and durations are
 * rounded.
 */
const DURATION_TOLERANCE = 0.1;
const MAX_DURATION_TOLERANCE_MS = 1000;

/** Decides why a source gives no more media. A recorded source is `finished` only if nothing is missing. Pure. */
export function classifyEnd(facts: EndFacts): SourceEnd {
  const { exit, playedToMs, upstreamFailure, endIsLoss } = facts;
  if (exit.startError !== undefined) {
    return failed("FailedOperation.MediaEngine", `ffmpeg could not be started: ${exit.startError}`);
  }
  if (needsMoreMemory(exit)) {
    return { name: "failed", error: tooMuchMemory(exit.memoryLimitBytes ?? FFMPEG_LIMITS.residentBytes) };
  }
  if (playedToMs === null) return { name: "failed", error: upstreamFailure ?? classifyUnopened(exit) };
  // A file whose duration may count other tracks is complete unless ffmpeg reported that it was cut.
  const declaredMs = facts.declaredIsRough === true && !showsCut(exit) ? null : facts.declaredMs;
  if (endIsLoss) return lost(upstreamFailure, `The live source ended after ${seconds(playedToMs)}.`);
  if (facts.inFragments === true && upstreamFailure === undefined && exit.code === 0 && showsCut(exit)) {
    const text = `The source ends at ${seconds(playedToMs)}, in the middle of a fragment: its file is incomplete.`;
    return failed("FailedOperation.SourceTruncated", text);
  }
  const complete =
    declaredMs !== null &&
    playedToMs >= declaredMs - Math.min(MAX_DURATION_TOLERANCE_MS, declaredMs * DURATION_TOLERANCE);
  if (exit.code === 0 && (complete || (declaredMs === null && upstreamFailure === undefined))) {
    return { name: "finished" };
  }
  if (upstreamFailure !== undefined && !complete) {
    return lost(upstreamFailure, `The source broke off at ${seconds(playedToMs)}.`);
  }
  if (exit.signal !== null) {
    return failed("FailedOperation.MediaEngine", `ffmpeg was ended by ${exit.signal} at ${seconds(playedToMs)}.`);
  }
  if (declaredMs !== null && !complete) {
    return failed(
      "FailedOperation.SourceTruncated",
      `The source ends at ${seconds(playedToMs)}, but says that it is ${seconds(declaredMs)} long: its file is incomplete.`,
    );
  }
  return failed("FailedOperation.MediaEngine", `ffmpeg failed at ${seconds(playedToMs)}${codeAndTail(exit)}`);
}

/** Returns true if ffmpeg was ended because of its memory, or could not allocate any more. */
export function needsMoreMemory({ code, memoryLimitBytes, stderrTail }: Omit<FfmpegExit, "signal">): boolean {
  if (memoryLimitBytes !== undefined) return true;
  return code !== 0 && stderrTail.slice(-LAST_LINES).some((line) => NO_MEMORY.test(line));
}

const NO_MEMORY = /Cannot allocate memory|Failed to allocate|Error allocating|malloc of size \d+ failed/i;
/** The number of last lines that say why ffmpeg ended. Earlier lines are errors that it recovered from. */
const LAST_LINES = 8;

/** Returns true if a demuxer of ffmpeg reported that the file ends inside a unit. */
function showsCut(exit: FfmpegExit): boolean {
  return exit.stderrTail.some((line) => /ended prematurely|partial file|truncat|unexpected end/i.test(line));
}

/** Returns the error of a source that ffmpeg or ffprobe reached but could not open. Pure. */
export function classifyUnopened(exit: Pick<FfmpegExit, "code" | "signal" | "stderrTail">): RoomcastError {
  const said = exit.stderrTail.join("\n");
  for (const [pattern, code, message] of UNOPENED) {
    if (pattern.test(said)) return new RoomcastError(code, message);
  }
  if (exit.signal === null && exit.code === 0) {
    return new RoomcastError("FailedOperation.SourceNotMedia", "The source holds no media from this position on.");
  }
  return new RoomcastError("FailedOperation.MediaEngine", `ffmpeg could not open the source${codeAndTail(exit)}`);
}

const NOT_MEDIA =
  "The source is not a video or audio file, or its beginning is damaged: expected MP4, MOV, MKV, WebM, FLV, HLS or a similar format.";

const UNOPENED = [
  [
    /exceeds specified max pixel count|Picture size \d+x\d+ is invalid/i,
    "FailedOperation.SourceUnsupported",
    `The source's pictures are too large: at most ${MAX_PIXELS} pixels, such as 8192x4320, are decoded. Give a smaller copy of it.`,
  ],
  [
    /exceeds max_streams/i,
    "FailedOperation.SourceUnsupported",
    "The source has too many tracks: give a copy with one video and one audio track.",
  ],
  [
    /Audio object type 42 is not implemented/i,
    "FailedOperation.SourceUnsupported",
    "The sound is xHE-AAC (USAC), which this worker's ffmpeg cannot decode: give a copy with AAC-LC sound.",
  ],
  [
    /Could not open codec for input stream/i,
    "FailedOperation.SourceUnsupported",
    "A track of the source is of a kind that this worker's ffmpeg cannot decode: give a copy with H.264 and AAC.",
  ],
  [
    /moov atom not found/i,
    "FailedOperation.SourceNotMedia",
    "The MP4 file has no index (the box moov): its upload or its recording was cut short. Upload it again.",
  ],
  [
    /Format dash|\[dash @/i,
    "FailedOperation.SourceUnsupported",
    "The source is a DASH manifest, which is not played: give the HLS playlist or the media file itself.",
  ],
  [
    /Format not on whitelist|not on (?:the )?whitelist|Protocol .* not /i,
    "FailedOperation.SourceUnsupported",
    "The source is of a kind that is not played (a playlist other than HLS, or a device): give the media file itself.",
  ],
  [
    /Decoder .* not found|Unknown decoder|no decoder|Codec .* is not supported|codec not currently supported/i,
    "FailedOperation.SourceUnsupported",
    "The ffmpeg of this worker cannot decode the source's codec.",
  ],
  [
    /Stream map .* matches no streams/i,
    "FailedOperation.SourceUnsupported",
    "A track that was found at first is no longer in the source. Try again, or give a file with fixed tracks.",
  ],
  [
    /Invalid data found when processing input|could not find codec parameters|EBML header parsing failed|End of file/i,
    "FailedOperation.SourceNotMedia",
    NOT_MEDIA,
  ],
  [/timed out/i, "FailedOperation.SourceTimeout", "The source did not answer in time."],
] as const;

function lost(upstreamFailure: RoomcastError | undefined, what: string): SourceEnd {
  if (upstreamFailure === undefined) return failed("FailedOperation.SourceLost", what);
  // A broken connection counts as a lost source; a more precise error is kept.
  const code =
    upstreamFailure.code === "FailedOperation.SourceUnreachable" ? "FailedOperation.SourceLost" : upstreamFailure.code;
  return failed(code, `${what} ${upstreamFailure.message}`);
}

function failed(code: RoomcastError["code"], message: string): SourceEnd {
  return { name: "failed", error: new RoomcastError(code, message) };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Formats the exit as ` (code 1): the last line of stderr`. */
function codeAndTail(exit: Pick<FfmpegExit, "code" | "signal" | "stderrTail">): string {
  const how = exit.signal === null ? `code ${exit.code ?? "unknown"}` : exit.signal;
  const last = exit.stderrTail.at(-1);
  return last === undefined ? ` (${how}).` : ` (${how}): ${withoutGateway(last)}`;
}

/** Removes the address of the source gateway, which ffmpeg names in its messages and which does not help a user. */
function withoutGateway(line: string): string {
  return line.replaceAll(/\bhttp:\/\/source\.invalid\/\d+\/media(?:\.\w+)?/g, "the source");
}
