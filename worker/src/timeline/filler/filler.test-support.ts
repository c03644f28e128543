import { spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { parseTagBody } from "../../media/flv/flv-tag.ts";
import { type FlvTag, flvHeader, flvTagSlices } from "../../media/flv/flv-writer.ts";
import type { MediaTag } from "../../media/media-tag.ts";

/** A decoded picture or audio frame: its time and the MD5 of its samples. For tests. */
export interface ShownFrame {
  readonly timestampMs: number;
  readonly md5: string;
}

const PIPES = ["pipe", "pipe", "pipe", "pipe", "pipe"] as const;

/**
 * Decodes one track of two streams strictly and returns the frames and ffmpeg's errors. One process decodes both,
 * because starting ffmpeg takes longer than decoding a few pictures. For tests.
 */
export async function judge(
  track: "video" | "audio",
  streams: readonly [readonly FlvTag[], readonly FlvTag[]],
): Promise<{ readonly first: readonly ShownFrame[]; readonly second: readonly ShownFrame[]; complaints: string }> {
  const args = ["-v", "warning", "-nostdin", "-xerror", ...inputArgs(3), ...inputArgs(4)];
  for (const [index, pipe] of [5, 6].entries()) {
    args.push("-map", `${index}:${track[0]}`, "-fps_mode", "passthrough", "-f", "framemd5", `pipe:${pipe}`);
  }
  const child = spawn(process.env["FFMPEG_PATH"] ?? "ffmpeg", args, { stdio: ["ignore", "ignore", ...PIPES] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const pipe = (index: number) => socketOf(child.stdio, index);
  for (const [index, tags] of streams.entries()) {
    // A decoder that gives up closes its input, so that the write fails. Its error output and its exit code report the
    // failure.
    pipe(3 + index).on("error", () => {});
    pipe(3 + index).end(flvFile(tags));
  }
  const texts = Promise.all([text(pipe(5)), text(pipe(6)), text(pipe(2))]);
  const [[first, second, complaints], code] = await Promise.all([texts, ended]);
  return {
    first: shownFrames(first),
    second: shownFrames(second),
    complaints: code === 0 ? complaints : `${complaints} (exit code ${code})`,
  };
}

function inputArgs(pipe: number): string[] {
  // All packets fit into the queue, because ffmpeg warns when it is full.
  return ["-thread_queue_size", "1024", "-threads", "1", "-err_detect", "explode", "-f", "flv", "-i", `pipe:${pipe}`];
}

/** Returns a pipe of the child. Pipes beyond the three standard ones can be both read and written. */
function socketOf(stdio: readonly unknown[], index: number): Duplex {
  const socket = stdio[index];
  if (!(socket instanceof Duplex)) throw new Error(`ffmpeg was started without pipe ${index}.`);
  return socket;
}

function shownFrames(report: string): ShownFrame[] {
  const tickMs = 1000 / Number(/^#tb 0: 1\/(\d+)$/m.exec(report)?.[1] ?? 1000);
  const rows = report.split("\n").filter((line) => /^\d/.test(line));
  return rows.map((row) => {
    const columns = row.split(",").map((column) => column.trim());
    return { timestampMs: Number(columns[2]) * tickMs, md5: columns[5] ?? "" };
  });
}

/** Returns the tags that carry H.264 or AAC, as a source delivers them. For tests. */
export function mediaTags(tags: readonly FlvTag[]): MediaTag[] {
  return tags.flatMap(({ kind, timestampMs, payload }) => {
    const tag = kind === "data" ? null : parseTagBody(kind, timestampMs, payload);
    return tag === null ? [] : [tag];
  });
}

function flvFile(tags: readonly FlvTag[]): Buffer {
  const has = (kind: FlvTag["kind"]) => tags.some((tag) => tag.kind === kind);
  return Buffer.concat([flvHeader({ audio: has("audio"), video: has("video") }), ...tags.flatMap(flvTagSlices)]);
}
