import { spawn } from "node:child_process";
import type { FlvTag } from "./flv-writer.ts";

const KINDS = { 8: "audio", 9: "video", 18: "data" } as const;

/** Runs ffmpeg with the arguments and returns its stdout. For tests. */
export async function runFfmpeg(args: readonly string[], program = "ffmpeg"): Promise<Buffer> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  let complaints = "";
  child.stdout.on("data", (data: Buffer) => output.push(data));
  child.stderr.on("data", (data: Buffer) => {
    complaints += data.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${complaints}`);
  return Buffer.concat(output);
}

export interface SampleFlvOptions {
  readonly seconds: number;
  readonly fps: number;
  /** Encoder arguments for the video; `[]` for no video. */
  readonly video: readonly string[];
  /** Encoder arguments for the audio; `[]` for no audio. */
  readonly audio: readonly string[];
  readonly size?: string;
}

/** H.264 without B-frames, with one keyframe per second if `fps` is 25. */
export const PLAIN_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p"];
export const PLAIN_AAC = ["-c:a", "aac", "-ac", "2", "-ar", "48000"];

/** Returns an FLV file of a noisy test picture and a tone, made by ffmpeg. For tests. */
export async function sampleFlv(options: SampleFlvOptions): Promise<FlvTag[]> {
  const { seconds, fps, video, audio, size = "320x180" } = options;
  const picture = `testsrc2=s=${size}:r=${fps}:d=${seconds},noise=alls=60:allf=t`;
  const bytes = await runFfmpeg([
    "-loglevel",
    "error",
    "-nostdin",
    ...(video.length > 0 ? ["-f", "lavfi", "-i", picture] : []),
    ...(audio.length > 0 ? ["-f", "lavfi", "-i", `sine=f=440:r=48000:d=${seconds}`] : []),
    ...video,
    ...audio,
    "-flvflags",
    "no_duration_filesize+no_sequence_end",
    "-f",
    "flv",
    "pipe:1",
  ]);
  return splitFlv(bytes);
}

/** Returns the tags of a complete and sound FLV file. For tests. */
function splitFlv(bytes: Buffer): FlvTag[] {
  const tags: FlvTag[] = [];
  for (let at = 13; at < bytes.length; ) {
    const length = bytes.readUIntBE(at + 1, 3);
    const timestampMs = bytes.readUIntBE(at + 4, 3) + bytes.readUInt8(at + 7) * 2 ** 24;
    // SAFETY: an unknown type makes the test that asked for the file fail.
    const kind = KINDS[bytes.readUInt8(at) as keyof typeof KINDS];
    tags.push({ kind, timestampMs, payload: bytes.subarray(at + 11, at + 11 + length) });
    at += 11 + length + 4;
  }
  return tags;
}
