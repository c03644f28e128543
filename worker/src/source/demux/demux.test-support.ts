import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { buffer, text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { MediaTag } from "../../media/media-tag.ts";
import type { DemuxedTrack, Demuxer, DemuxerOptions, TrackChoice } from "./demuxer.ts";

const run = promisify(execFile);

/** Runs ffmpeg with `input` at `pipe:0` and returns its output of `pipe:1`. */
export async function ffmpeg(args: string, input: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  const child = spawn("ffmpeg", ["-v", "error", "-y", ...args.split(" "), "pipe:1"]);
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [output, complaints, [code]] = await Promise.all([
    buffer(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  if (code !== 0) throw new Error(`ffmpeg ${args} failed: ${complaints}`);
  return output;
}

export interface ProbedPacket {
  readonly kind: string;
  readonly ptsMs: number;
  readonly dtsMs: number;
  readonly keyframe: boolean;
  readonly size: number;
}

/** Reads the packets of a file with ffprobe. */
export async function probePackets(file: string, args: readonly string[] = []): Promise<ProbedPacket[]> {
  const wanted = ["-show_packets", "-show_entries", "packet=codec_type,pts_time,dts_time,flags,size"];
  const { stdout } = await run("ffprobe", ["-v", "error", ...args, ...wanted, "-of", "json", file], {
    maxBuffer: 64 * 1024 * 1024,
  });
  // SAFETY: ffprobe's packets have these fields; tests fail otherwise.
  const { packets } = JSON.parse(stdout) as { packets: Record<string, string>[] };
  return packets.map((packet) => ({
    kind: packet["codec_type"] ?? "",
    ptsMs: Number(packet["pts_time"]) * 1000,
    dtsMs: Number(packet["dts_time"]) * 1000,
    keyframe: packet["flags"]?.startsWith("K") ?? false,
    size: Number(packet["size"]),
  }));
}

export interface Demuxed {
  readonly tags: MediaTag[];
  readonly video: MediaTag[];
  readonly audio: MediaTag[];
  readonly headers: MediaTag[];
  /** Each announcement of tracks. */
  readonly announced: (readonly DemuxedTrack[])[];
  readonly recoveryPoints: number[];
}

/** The first track of each kind. */
function firstOfEach(tracks: readonly DemuxedTrack[]): TrackChoice {
  const first = (kind: string) => tracks.find((track) => track.kind === kind)?.id ?? null;
  return { video: first("video"), audio: first("audio") };
}

/** Pushes all pieces through a demuxer, and flushes it at the end and when a piece is null. */
export function demux(
  make: (options: DemuxerOptions) => Demuxer,
  pieces: Iterable<Buffer | null>,
  choose: (tracks: readonly DemuxedTrack[]) => TrackChoice = firstOfEach,
): Demuxed {
  const tags: MediaTag[] = [];
  const announced: (readonly DemuxedTrack[])[] = [];
  const recoveryPoints: number[] = [];
  const demuxer = make({
    onTracks: (tracks) => {
      announced.push(tracks);
      return choose(tracks);
    },
    onTag: (tag) => tags.push(tag),
    onRecoveryPoint: (dtsMs) => recoveryPoints.push(dtsMs),
  });
  for (const piece of pieces) {
    if (piece === null) demuxer.flush();
    else demuxer.push(piece);
  }
  demuxer.flush();
  const media = tags.filter(({ sequenceHeader }) => !sequenceHeader);
  return {
    tags,
    announced,
    recoveryPoints,
    video: media.filter(({ kind }) => kind === "video"),
    audio: media.filter(({ kind }) => kind === "audio"),
    headers: tags.filter(({ sequenceHeader }) => sequenceHeader),
  };
}

/** A Mulberry32 generator, which gives the same numbers for the same seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export function* inPieces(bytes: Buffer, length: () => number): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + length();
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** Returns the payloads without their tag headers, to compare them with another demuxer's. */
export function dataOf(tags: readonly MediaTag[]): string[] {
  return tags.map(({ kind, payload }) => payload.toString("hex", kind === "video" ? 5 : 2));
}

/** Returns tags in a form that is faster to compare than buffers. */
export function shown(tags: readonly MediaTag[]): string {
  return tags.map(({ payload, ...rest }) => `${JSON.stringify(rest)} ${payload.toString("base64")}`).join("\n");
}
