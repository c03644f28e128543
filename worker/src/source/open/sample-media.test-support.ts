import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL("../../../../.roomcast/test-media", import.meta.url));

/** The duration, frame rate and picture size of every clip whose recipe does not change them. */
export const SAMPLE = { seconds: 2, fps: 25, width: 320, height: 180 } as const;

const { seconds, fps, width, height } = SAMPLE;
/**
 * The inputs of all recipes: 0 is a picture, 1 is sound, 2 is a picture at 60 fps, 3 is a longer picture, 4 is a still
 * picture.
 */
const INPUTS = [
  `-f lavfi -i testsrc2=s=${width}x${height}:r=${fps}:d=${seconds}`,
  `-f lavfi -i sine=f=440:r=48000:d=${seconds}`,
  `-f lavfi -i testsrc2=s=${width}x${height}:r=60:d=${seconds}`,
  `-f lavfi -i testsrc2=s=160x90:r=10:d=6`,
  `-f lavfi -i color=c=red:s=64x64:r=1:d=1`,
].flatMap((input) => input.split(" "));

const BOTH = "-map 0:v -map 1:a";
const H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g 25 -keyint_min 25 -sc_threshold 0";
const AAC = "-c:a aac -b:a 64k";
const COPYABLE = `${BOTH} ${H264} ${AAC}`;

/** The output options of each clip. */
const RECIPES = {
  "front.mp4": `${COPYABLE} -movflags +faststart`,
  "end.mp4": COPYABLE,
  "quick.mov": COPYABLE,
  "copy.mkv": COPYABLE,
  "copy.flv": COPYABLE,
  "copy.ts": COPYABLE,
  "fragmented.mp4": `${COPYABLE} -movflags +frag_keyframe+empty_moov`,
  "live.flv": `${COPYABLE} -flvflags no_duration_filesize`,
  "long.flv": `-map 3:v ${H264} -flvflags no_duration_filesize`,
  "vp8.webm": `${BOTH} -c:v libvpx -deadline realtime -cpu-used 8 -b:v 300k -c:a libvorbis`,
  "vp9.webm": `${BOTH} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k -c:a libopus`,
  "hevc.mp4": `${BOTH} -c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p ${AAC}`,
  "b-frames.mp4": `${BOTH} -c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -g 25 ${AAC}`,
  "444.mp4": `${BOTH} -c:v libx264 -preset ultrafast -pix_fmt yuv444p ${AAC}`,
  "10-bit.mp4": `${BOTH} -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le ${AAC}`,
  "hdr.mkv": `${BOTH} -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc ${AAC}`,
  "interlaced.ts": `${BOTH} -vf setfield=tff -flags +ildct+ilme -top 1 ${H264} -x264-params tff=1 ${AAC}`,
  "wide-pixels.mp4": `${BOTH} -vf setsar=4/3 ${H264} ${AAC}`,
  "large.mp4": `${BOTH} -vf scale=2048:1152 -t 0.4 ${H264} ${AAC}`,
  "60-fps.mp4": `-map 2:v -map 1:a ${H264} ${AAC}`,
  "long-gop.mp4": `-map 3:v -map 1:a -c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g 250 -keyint_min 250 -sc_threshold 0 ${AAC}`,
  "variable-rate.mkv": `${BOTH} -vf select=lt(mod(n\\,10)\\,6) -vsync vfr ${H264} ${AAC}`,
  "5.1.mp4": `${COPYABLE} -ac 6`,
  "22050-hz.mp4": `${COPYABLE} -ar 22050`,
  "mono-44100.mp4": `${COPYABLE} -ar 44100 -ac 1`,
  "mp3-sound.mp4": `${BOTH} ${H264} -c:a libmp3lame`,
  "no-sound.mkv": `-map 0:v ${H264}`,
  "two-sounds.mkv": `-map 0:v -map 1:a -map 1:a ${H264} ${AAC} -ac:a:0 1 -ac:a:1 2 -disposition:a:0 0 -disposition:a:1 default`,
  "two-pictures.mkv": `-map 3:v -map 0:v -map 1:a ${H264} ${AAC} -t ${seconds} -disposition:v:0 0 -disposition:v:1 default`,
  "opus.ogg": "-map 1:a -c:a libopus",
  "cover.m4a": `-map 1:a -map 4:v ${AAC} -c:v mjpeg -pix_fmt yuvj420p -frames:v 1 -disposition:v attached_pic`,
  "cover.mp3": `-map 1:a -map 4:v -c:a libmp3lame -c:v mjpeg -pix_fmt yuvj420p -frames:v 1 -disposition:v attached_pic`,
  "sound.mp3": "-map 1:a -c:a libmp3lame",
  "sound.m4a": `-map 1:a ${AAC}`,
  "sound.wav": "-map 1:a",
  "sound.ogg": "-map 1:a -c:a libvorbis",
  "av1.mkv": `${BOTH} -c:v AV1-ENCODER ${AAC}`,
} as const satisfies Record<string, string>;

export type SampleName = keyof typeof RECIPES;
const SAMPLE_NAMES = Object.keys(RECIPES).filter((name): name is SampleName => name in RECIPES);

const AV1_ENCODERS = { libsvtav1: "libsvtav1 -preset 12", "libaom-av1": "libaom-av1 -usage realtime -cpu-used 8" };

/**
 * Makes one clip of each kind with one run of ffmpeg. The clips are kept in `.roomcast/test-media`, under a key of all
 * recipes and of ffmpeg's version. The returned function gives undefined for a clip that this ffmpeg cannot make:
 * ffmpeg must decode AV1, but need not encode it.
 */
export async function sampleMedia(ffmpeg: {
  readonly path: string;
  readonly version: string;
}): Promise<(name: SampleName) => Promise<Buffer | undefined>> {
  const { stdout: encoders } = await run(ffmpeg.path, ["-hide_banner", "-encoders"]);
  const av1 = Object.entries(AV1_ENCODERS).find(([name]) => encoders.includes(` ${name} `))?.[1];
  const made = SAMPLE_NAMES.filter((name) => name !== "av1.mkv" || av1 !== undefined);
  const outputs = made.flatMap((name) => [...RECIPES[name].replace("AV1-ENCODER", av1 ?? "").split(" "), name]);
  const args = ["-hide_banner", "-nostdin", "-loglevel", "error", "-y", ...INPUTS, ...outputs];
  const key = createHash("sha256")
    .update(JSON.stringify([args, ffmpeg.version]))
    .digest("hex")
    .slice(0, 12);
  const folder = join(FOLDER, key);
  if (!(await exists(folder))) await make(ffmpeg.path, args, folder);
  return async (name) => (made.includes(name) ? await readFile(join(folder, name)) : undefined);
}

/**
 * Returns a copy of an MP4 file whose first track, the video, is marked as rotated by a quarter turn (ISO/IEC 14496-12,
 * 8.3.2).
 */
export function turned(mp4: Buffer): Buffer {
  const copy = Buffer.from(mp4);
  const matrixAt = copy.indexOf("tkhd", 0, "latin1") + 4 + 40;
  [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000].forEach((value, at) => copy.writeInt32BE(value, matrixAt + at * 4));
  return copy;
}

/**
 * Makes the clips in a temporary folder and then renames it, because another process may make the same clips, or this
 * one may be stopped.
 */
async function make(ffmpegPath: string, args: readonly string[], folder: string): Promise<void> {
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    // SVT-AV1 writes to stderr whatever the log level is.
    await run(ffmpegPath, args, { cwd: unfinished, env: { ...process.env, SVT_LOG: "1" }, maxBuffer: 4 * 1024 * 1024 });
    await rename(unfinished, folder);
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(folder))) throw new Error("ffmpeg could not make the sample media.", { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
