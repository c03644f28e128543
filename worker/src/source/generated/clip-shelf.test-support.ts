import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { AudioKind, Container, Index, TrackStart, VideoKind } from "./composition.test-support.ts";

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL("../../../../.roomcast/test-media", import.meta.url));

export const CLIP = { seconds: 6, fps: 25, width: 160, height: 90, segmentSeconds: 2, segments: 3 } as const;
/** The delay of the track that begins late, ms. */
export const LATE_MS = 1500;
/** The duration that an edit list hides; the keyframe before its end is at 1000 ms. */
export const TRIMMED_MS = 1400;
/** The start of the clock of a clip with a far clock, seconds. */
const FAR_S = 5000;

const { seconds, fps, width, height } = CLIP;
/** Each picture is a little brighter than the one before, so that its brightness identifies it. */
const INPUTS =
  `-f lavfi -i color=c=gray:s=${width}x${height}:r=${fps}:d=${seconds},format=yuv420p,` +
  String.raw`geq=lum='20+N+mod(X*3+Y*5\,40)':cb=128:cr=128 -f lavfi -i sine=f=440:r=48000:d=${seconds}`;
const H264 = "-map 0:v -c:v libx264 -preset veryfast -g 25 -keyint_min 25 -sc_threshold 0";

const TRACKS = {
  h264: `${H264} -bf 0`,
  "h264 with B-frames": `${H264} -bf 2`,
  large: `${H264} -bf 0 -vf scale=320:180`,
  hevc: "-map 0:v -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:min-keyint=25:scenecut=0",
  vp9: "-map 0:v -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k -g 25",
  aac: "-map 1:a -c:a aac -ac 2 -b:a 64k",
  "aac mono": "-map 1:a -c:a aac -ac 1 -b:a 48k",
  "aac 44.1 kHz": "-map 1:a -c:a aac -ac 2 -ar 44100 -b:a 64k",
  mp3: "-map 1:a -c:a libmp3lame -ac 2 -ar 44100 -b:a 64k",
  ac3: "-map 1:a -c:a ac3 -ac 2 -b:a 96k",
  opus: "-map 1:a -c:a libopus -ac 2 -b:a 64k",
} as const satisfies Record<VideoKind | AudioKind | "large", string>;

type TrackName = keyof typeof TRACKS;

export interface ClipOptions {
  readonly container: Container;
  readonly video: TrackName | null;
  readonly audio: TrackName | null;
  readonly start?: TrackStart;
  readonly index?: Index;
  readonly farClock?: boolean;
}

/** The bytes of a clip: one file, or the segments of a playlist with their init segment. */
export interface Clip {
  readonly files: readonly Buffer[];
  readonly init: Buffer | null;
}

/**
 * Clips of every kind, of tracks that are encoded once and then muxed together. All of it is kept in
 * `.roomcast/test-media`, under a key of the recipes and of ffmpeg's version.
 */
export class ClipShelf {
  readonly #ffmpegPath: string;
  readonly #folder: string;
  readonly #clips = new Map<string, Promise<Clip>>();
  /** The brightness of each picture of the plain clip, as ffmpeg decodes it from its own file. */
  readonly lumas: readonly number[];

  private constructor(ffmpegPath: string, folder: string, lumas: readonly number[]) {
    this.#ffmpegPath = ffmpegPath;
    this.#folder = folder;
    this.lumas = lumas;
  }

  static async open(ffmpeg: { readonly path: string; readonly version: string }): Promise<ClipShelf> {
    const key = createHash("sha256")
      .update(JSON.stringify([INPUTS, TRACKS, ffmpeg.version]))
      .digest("hex")
      .slice(0, 12);
    const folder = join(FOLDER, `generated-${key}`);
    const outputs = Object.entries(TRACKS).flatMap(([name, args]) => [...args.split(" "), fileOf(name)]);
    await makeFolder(folder, (unfinished) => runFfmpeg(ffmpeg.path, [...INPUTS.split(" "), ...outputs], unfinished));
    const { stdout } = await run(
      ffmpeg.path,
      ["-v", "error", "-i", fileOf("h264"), ..."-vf scale=1:1,format=gray -f rawvideo pipe:1".split(" ")],
      { cwd: folder, encoding: "buffer" },
    );
    return new ClipShelf(ffmpeg.path, folder, [...stdout]);
  }

  async clip(options: ClipOptions): Promise<Clip> {
    const args = muxArgs(options).join(" ");
    const known = this.#clips.get(args);
    if (known !== undefined) return await known;
    const made = this.#make(args);
    this.#clips.set(args, made);
    return await made;
  }

  async #make(args: string): Promise<Clip> {
    const folder = join(this.#folder, createHash("sha256").update(args).digest("hex").slice(0, 12));
    // The inputs are in the parent folder, also of the unfinished folder.
    await makeFolder(folder, (unfinished) => runFfmpeg(this.#ffmpegPath, args.split(" "), unfinished));
    if (!args.includes("-f hls")) return { files: [await readFile(join(folder, "clip"))], init: null };
    const numbers = Array.from({ length: CLIP.segments }, (_none, number) => number);
    const files = await Promise.all(numbers.map((number) => readFile(join(folder, `${number}.seg`))));
    const init = args.includes("fmp4") ? await readFile(join(folder, "init.mp4")) : null;
    return { files, init };
  }
}

function muxArgs({ container, video, audio, start = "together", index = "in front", farClock = false }: ClipOptions) {
  const input = (name: TrackName | null, late: boolean) => {
    if (name === null) return [];
    const skip = start === "first 1.4 s trimmed" ? ["-ss", String(TRIMMED_MS / 1000)] : [];
    return [...skip, ...(late ? ["-itsoffset", String(LATE_MS / 1000)] : []), "-i", `../${fileOf(name)}`];
  };
  const maps = [video, audio].filter((name) => name !== null).flatMap((_name, at) => ["-map", String(at)]);
  return [
    ...input(video, start === "picture 1.5 s late"),
    ...input(audio, start === "sound 1.5 s late"),
    ...maps,
    ..."-c copy -strict experimental".split(" "),
    ...(start === "together" || start === "first 1.4 s trimmed" ? [] : ["-t", String(seconds)]),
    ...(farClock ? ["-output_ts_offset", String(FAR_S)] : []),
    ...(video === "hevc" && container !== "mkv" && !container.includes("ts") ? ["-tag:v", "hvc1"] : []),
    ...formatArgs(container, index),
  ];
}

function formatArgs(container: Container, index: Index): string[] {
  const fragments = "+frag_keyframe+empty_moov+default_base_moof+delay_moov";
  const flags: Readonly<Record<Index, string>> = {
    "in front": "+faststart",
    "at the end": "0",
    "in fragments": `${fragments}+skip_trailer`,
    "in fragments with sidx": `${fragments}+global_sidx+skip_trailer`,
    "in fragments with mfra": fragments,
  };
  const hls = `-f hls -hls_time ${CLIP.segmentSeconds} -hls_list_size 0 -hls_segment_filename %d.seg`;
  switch (container) {
    case "mp4":
    case "mov":
      return ["-movflags", flags[index], "-f", container, "clip"];
    case "mkv":
      return ["-f", "matroska", "clip"];
    case "ts":
      return ["-f", "mpegts", "clip"];
    case "hls of ts":
      return `${hls} -hls_segment_type mpegts list.m3u8`.split(" ");
    case "hls of fmp4":
      return `${hls} -hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4 list.m3u8`.split(" ");
    default:
      return ["-f", container, "clip"];
  }
}

function fileOf(track: string): string {
  return `${track.replaceAll(" ", "-")}.mp4`;
}

async function runFfmpeg(path: string, args: readonly string[], cwd: string): Promise<void> {
  await run(path, ["-hide_banner", "-nostdin", "-loglevel", "error", "-y", ...args], { cwd });
}

/** Makes a folder beside its place and moves it there when complete, because another process may make the same one. */
async function makeFolder(folder: string, make: (unfinished: string) => Promise<void>): Promise<void> {
  if (await exists(folder)) return;
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await make(unfinished);
    await rename(unfinished, folder);
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(folder))) throw new Error("ffmpeg could not make a clip.", { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
