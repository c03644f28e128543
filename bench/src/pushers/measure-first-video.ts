import type { Stack } from "@roomcast/dev/stack/stack";
import { median } from "../base/median.ts";
import type { Clip } from "./clip.ts";
import { newRooms } from "./new-rooms.ts";
import type { Pusher } from "./pusher.ts";
import { untilVideo } from "./receiver.ts";

export interface FirstVideo {
  readonly runs: number;
  /** From the HTTP call to the first picture at the receiver, median, ms. */
  readonly oursMs: number;
  /** From the exec of ffmpeg to the first picture at the receiver, median, ms. */
  readonly bareMs: number;
  /** ours / bare */
  readonly ratio: number;
}

export interface MeasureFirstVideoOptions {
  readonly stack: Stack;
  readonly clip: Clip;
  readonly ours: Pusher;
  readonly bare: Pusher;
  readonly runs: number;
  /** The name of what is played, for the progress output. */
  readonly what?: string;
  readonly onProgress: (what: string) => void;
  readonly signal: AbortSignal;
}

/** Time to the first picture at the receiver, ours and bare in turn. */
export async function measureFirstVideo(options: MeasureFirstVideoOptions): Promise<FirstVideo> {
  const { runs, what = "a clip", onProgress } = options;
  // SAFETY: an empty list is one of numbers.
  const times = { ours: [] as number[], bare: [] as number[] };
  onProgress(`first picture of ${what}, ${runs} runs each`);
  for (let run = 0; run < runs; run += 1) {
    times.ours.push(await timeToFirstVideo(options, options.ours));
    times.bare.push(await timeToFirstVideo(options, options.bare));
  }
  const oursMs = median(times.ours);
  const bareMs = median(times.bare);
  return { runs, oursMs, bareMs, ratio: oursMs / bareMs };
}

async function timeToFirstVideo(options: MeasureFirstVideoOptions, pusher: Pusher): Promise<number> {
  const { stack, clip, signal } = options;
  const rooms = newRooms(1);
  const clipUrl = clip(stack);
  const startedAtMs = Date.now();
  try {
    await Promise.all(rooms.map((room) => pusher.start({ clipUrl, room })));
    const [video] = await untilVideo(stack.emulator, rooms, signal);
    return (video?.firstTagAtMs ?? Number.NaN) - startedAtMs;
  } finally {
    await pusher.stopAll();
  }
}
