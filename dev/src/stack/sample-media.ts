import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findMediaTools } from "@roomcast/worker/media-tools";

export interface SampleClipOptions {
  readonly durationS: number;
  /** With B-frames a room cannot show the video unchanged. Default: none. */
  readonly bFrames?: boolean;
  /** Default: main. Two clips of different profiles can be told apart by their sequence headers. */
  readonly profile?: "main" | "high";
  /** Default: both. */
  readonly tracks?: "both" | "video" | "audio";
  /** Default: 1280×720. A smaller picture takes less to decode and encode; its bit rate follows its size. */
  readonly size?: { readonly width: number; readonly height: number };
}

/** The properties of a sample clip's video. */
export const SAMPLE_VIDEO = { width: 1280, height: 720, fps: 30, bitRateKbps: 2000, gopFrames: 60 } as const;

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL("../../../.roomcast/media", import.meta.url));
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/**
 * Makes an MP4 file with a moving test picture that shows its own clock (H.264) and a beeping tone (AAC, 48 kHz stereo).
 * It is made once by ffmpeg and kept in `.roomcast/media`. The same options give the same file.
 *
 * @returns its path
 */
export async function sampleClip(options: SampleClipOptions): Promise<string> {
  const args = sampleArguments(options);
  const key = createHash("sha256").update(JSON.stringify(args)).digest("hex").slice(0, 12);
  const path = join(FOLDER, `sample-${options.durationS}s-${key}.mp4`);
  if (await exists(path)) return path;
  await mkdir(FOLDER, { recursive: true });
  // The file is written under another name and then renamed, because others may want the same clip or this run may be stopped.
  const unfinished = join(FOLDER, `.${key}-${process.pid}-${Date.now()}.mp4`);
  try {
    await run(await ffmpegPath(), [...args, unfinished], { maxBuffer: MAX_OUTPUT_BYTES });
    await rename(unfinished, path);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw new Error("ffmpeg could not make the sample clip.", { cause });
  }
  return path;
}

/**
 * Makes a sample clip as an HLS recording: a playlist with MPEG-TS segments of six seconds in one folder.
 *
 * @returns the playlist's path
 */
export async function samplePlaylist(options: SampleClipOptions): Promise<string> {
  const clipPath = await sampleClip(options);
  const folder = clipPath.replace(/mp4$/, "hls");
  const path = join(folder, "index.m3u8");
  if (await exists(path)) return path;
  const unfinished = `${folder}-${process.pid}-${Date.now()}`;
  await mkdir(unfinished);
  try {
    const hls = "-c copy -f hls -hls_time 6 -hls_playlist_type vod -hls_segment_filename".split(" ");
    const files = [join(unfinished, "segment-%d.ts"), join(unfinished, "index.m3u8")];
    await run(await ffmpegPath(), ["-nostdin", "-loglevel", "error", "-i", clipPath, ...hls, ...files]);
    await rename(unfinished, folder);
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    // Another process may have made it meanwhile.
    if (!(await exists(path))) throw new Error("ffmpeg could not make the sample playlist.", { cause });
  }
  return path;
}

/** Returns the number of pictures of a sample clip. */
export function sampleFrames({ durationS }: Pick<SampleClipOptions, "durationS">): number {
  return durationS * SAMPLE_VIDEO.fps;
}

/** ffmpeg's arguments without the output file. Pure. */
function sampleArguments({
  durationS,
  bFrames = false,
  profile = "main",
  tracks = "both",
  size = SAMPLE_VIDEO,
}: SampleClipOptions): string[] {
  const { fps, gopFrames } = SAMPLE_VIDEO;
  const { width, height } = size;
  const area = (width * height) / (SAMPLE_VIDEO.width * SAMPLE_VIDEO.height);
  const bitRateKbps = Math.round(SAMPLE_VIDEO.bitRateKbps * area);
  const hasVideo = tracks !== "audio";
  const hasAudio = tracks !== "video";
  return [
    "-hide_banner -nostdin -loglevel error -y",
    hasVideo ? `-f lavfi -i testsrc2=size=${width}x${height}:rate=${fps}` : "",
    hasAudio ? "-f lavfi -i sine=frequency=330:beep_factor=4:sample_rate=48000" : "",
    hasVideo ? `-c:v libx264 -preset veryfast -profile:v ${profile} -pix_fmt yuv420p -bf ${bFrames ? 3 : 0}` : "",
    hasVideo ? `-b:v ${bitRateKbps}k -maxrate ${bitRateKbps}k -bufsize ${bitRateKbps * 2}k` : "",
    hasVideo ? `-g ${gopFrames} -keyint_min ${gopFrames} -sc_threshold 0` : "",
    hasAudio ? "-c:a aac -b:a 128k -ac 2" : "",
    `-t ${durationS} -movflags +faststart`,
  ].flatMap((part) => (part === "" ? [] : part.split(" ")));
}

async function ffmpegPath(): Promise<string> {
  const found = await findMediaTools();
  if (found.name === "found") return found.tools.ffmpegPath;
  throw new Error(found.problems.map(({ message }) => message).join("\n"));
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
