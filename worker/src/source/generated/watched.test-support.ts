import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { flvHeader, flvTagSlices } from "../../media/flv/flv-writer.ts";
import type { MediaTag } from "../../media/media-tag.ts";

/** What somebody sees and hears who decodes all that a source gave. */
export interface Watched {
  /** What the decoders complained about. */
  readonly complaints: string;
  /** The pictures in the order in which they are shown. */
  readonly pictures: readonly { readonly atMs: number; readonly luma: number }[];
  /** Loudness (root mean square of 16 bit) of each tenth of a second since 0; where there is no sound it is silent. */
  readonly loudness: readonly number[];
}

const SOUND_HZ = 8000;
const TENTH = SOUND_HZ / 10;

/** Has ffmpeg decode every tag. */
export async function watch(ffmpegPath: string, tags: readonly MediaTag[]): Promise<Watched> {
  const shown = tags
    .filter(({ kind, sequenceHeader }) => kind === "video" && !sequenceHeader)
    .map(({ dtsMs, compositionMs }) => dtsMs + compositionMs)
    .toSorted((a, b) => a - b);
  const hasSound = tags.some(({ kind, sequenceHeader }) => kind === "audio" && !sequenceHeader);
  const flv = Buffer.concat([
    flvHeader({ audio: hasSound, video: true }),
    ...tags
      .filter(({ kind }) => hasSound || kind === "video")
      .flatMap(({ kind, dtsMs, payload }) => {
        return flvTagSlices({ kind, timestampMs: Math.max(0, Math.round(dtsMs)), payload });
      }),
  ]);
  const picture = "-map 0:v -fps_mode passthrough -vf scale=1:1,format=gray -f rawvideo pipe:1";
  const sound = `-map 0:a -af aresample=${SOUND_HZ}:async=1:first_pts=0 -ac 1 -f s16le pipe:3`;
  const args = `-v error -copyts -f flv -i pipe:0 ${picture}${hasSound ? ` ${sound}` : ""}`;
  const child = spawn(ffmpegPath, args.split(" "), { stdio: ["pipe", "pipe", "pipe", "pipe"] });
  child.stdin?.on("error", () => {});
  child.stdin?.end(flv);
  // SAFETY: all pipes that were asked for are there, and the child writes to these three.
  const [lumas, stderr, samples] = child.stdio.slice(1) as [Readable, Readable, Readable];
  const [decoded, complaints, heard] = await Promise.all([
    buffer(lumas),
    text(stderr),
    buffer(samples),
    once(child, "close"),
  ]);
  const pictures = [...decoded].map((luma, at) => ({ atMs: shown[at] ?? Number.NaN, luma }));
  return { complaints, pictures, loudness: loudnessOf(heard) };
}

function loudnessOf(samples: Buffer): number[] {
  const values = new Int16Array(samples.buffer, samples.byteOffset, Math.floor(samples.length / 2));
  return Array.from({ length: Math.floor(values.length / TENTH) }, (_none, at) => {
    const part = values.subarray(at * TENTH, (at + 1) * TENTH);
    return Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) / part.length);
  });
}
