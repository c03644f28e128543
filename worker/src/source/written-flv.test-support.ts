import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { flvHeader, flvTagSlices } from "../media/flv/flv-writer.ts";
import type { MediaTag } from "../media/media-tag.ts";

/** The result of decoding everything that a source gave. */
export interface Decoded {
  readonly video: {
    readonly codec: string;
    readonly size: string;
    readonly pixelFormat: string;
    readonly bFrames: number;
  };
  readonly audio: { readonly codec: string; readonly sampleRateHz: number; readonly channels: number };
  readonly frames: number;
  /** The picture's matrix and transfer; undefined if the stream does not declare them. */
  readonly colours: string | undefined;
  /** The errors that the decoders reported. */
  readonly complaints: string;
}

/** Writes the tags as an FLV stream whose times begin at 0. */
function writtenFlv(tags: readonly MediaTag[]): Buffer {
  const firstMs = Math.min(...tags.filter(({ sequenceHeader }) => !sequenceHeader).map(({ dtsMs }) => dtsMs));
  return Buffer.concat([
    flvHeader({ audio: true, video: true }),
    ...tags.flatMap(({ kind, dtsMs, payload }) => {
      return flvTagSlices({ kind, timestampMs: Math.max(0, Math.round(dtsMs - firstMs)), payload });
    }),
  ]);
}

/** Decodes every frame of the tags with ffprobe. */
export async function decode(ffprobePath: string, tags: readonly MediaTag[]): Promise<Decoded> {
  const { stdout, stderr } = await feed(
    ffprobePath,
    ["-v", "error", "-count_frames", "-show_streams", "-of", "json", "-f", "flv", "-i", "pipe:0"],
    writtenFlv(tags),
  );
  // SAFETY: ffprobe's streams have these fields, the optional ones if they are known; tests fail otherwise.
  const { streams } = JSON.parse(stdout.toString()) as { streams: Record<string, string | number | undefined>[] };
  const video = streams.find((stream) => stream["codec_type"] === "video") ?? {};
  const audio = streams.find((stream) => stream["codec_type"] === "audio") ?? {};
  const [matrix, transfer] = [video["color_space"], video["color_transfer"]];
  return {
    video: {
      codec: String(video["codec_name"]),
      size: `${video["width"]}x${video["height"]}`,
      pixelFormat: String(video["pix_fmt"]),
      bFrames: Number(video["has_b_frames"]),
    },
    audio: {
      codec: String(audio["codec_name"]),
      sampleRateHz: Number(audio["sample_rate"]),
      channels: Number(audio["channels"]),
    },
    frames: Number(video["nb_read_frames"]),
    colours: matrix === undefined ? undefined : `${matrix}, ${transfer}`,
    complaints: stderr,
  };
}

/** Returns the first picture's luma, line by line, one byte per pixel. */
export async function firstPicture(ffmpegPath: string, tags: readonly MediaTag[]): Promise<Buffer> {
  const output = ["-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"];
  return (await feed(ffmpegPath, ["-v", "error", "-f", "flv", "-i", "pipe:0", ...output], writtenFlv(tags))).stdout;
}

/** Returns the mean luma of every picture, in 8 bits. */
export async function lumasOf(ffmpegPath: string, tags: readonly MediaTag[]): Promise<number[]> {
  const output = ["-fps_mode", "passthrough", "-vf", "scale=1:1,format=gray", "-f", "rawvideo", "pipe:1"];
  const { stdout } = await feed(ffmpegPath, ["-v", "error", "-f", "flv", "-i", "pipe:0", ...output], writtenFlv(tags));
  return [...stdout];
}

/** Returns the sound as signed 16-bit samples of one channel. */
export async function soundOf(ffmpegPath: string, tags: readonly MediaTag[]): Promise<Int16Array> {
  const args = ["-v", "error", "-f", "flv", "-i", "pipe:0", "-vn", "-ac", "1", "-f", "s16le", "pipe:1"];
  const { stdout } = await feed(ffmpegPath, args, writtenFlv(tags));
  return new Int16Array(stdout.buffer, stdout.byteOffset, Math.floor(stdout.length / 2));
}

async function feed(
  program: string,
  args: readonly string[],
  input: Buffer,
): Promise<{ stdout: Buffer; stderr: string }> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  // A program that has read enough closes its end of the pipe.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const [stderr] = await Promise.all([text(child.stderr), once(child, "close")]);
  return { stdout: Buffer.concat(chunks), stderr };
}
