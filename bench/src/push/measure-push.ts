import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "@roomcast/dev/stack/stack";
import { median } from "../median.ts";
import { cpuSecondsOf, pssBytesOf } from "../process-usage.ts";
import type { Cost, CostRow, FirstVideo } from "./push-report.ts";
import type { Pusher } from "./pusher.ts";
import { untilVideo, videoOf } from "./receiver.ts";

export interface MeasurePushOptions {
  readonly stack: Stack;
  readonly clipPath: string;
  readonly ours: Pusher;
  readonly bare: Pusher;
  readonly streams: readonly number[];
  readonly windowSeconds: number;
  readonly firstVideoRuns: number;
  readonly onProgress: (what: string) => void;
}

let roomsMade = 0;

function newRooms(count: number): string[] {
  return Array.from({ length: count }, () => {
    roomsMade += 1;
    return `bench_${roomsMade}`;
  });
}

/** Cost of N streams at once, ours and bare in turn, for each N. */
export async function measureCosts(options: MeasurePushOptions): Promise<CostRow[]> {
  const rows: CostRow[] = [];
  for (const streams of options.streams) {
    const ours = await measureCost(options, options.ours, streams);
    const bare = await measureCost(options, options.bare, streams);
    rows.push({
      streams,
      ours,
      bare,
      cpuRatio: ours.cpuSecondsPerStreamMinute / bare.cpuSecondsPerStreamMinute,
      pssRatio: ours.pssMbPerStream / bare.pssMbPerStream,
    });
  }
  return rows;
}

/**
 * From before the first start to the end of the window: what it costs to start is part of the cost. The worker's memory
 * counts whole, also what it holds without any stream.
 */
async function measureCost(options: MeasurePushOptions, pusher: Pusher, streams: number): Promise<Cost> {
  const { stack, windowSeconds } = options;
  options.onProgress(`${pusher.name}: ${streams} streams for ${windowSeconds} s`);
  const rooms = newRooms(streams);
  const cpuBefore = cpuSecondsOf(pusher.pids());
  const clipUrl = stack.files.serve(options.clipPath);
  try {
    await Promise.all(rooms.map((room) => pusher.start({ clipUrl, room })));
    await untilVideo(stack.emulator, rooms);
    await sleep(windowSeconds * 1000);
    const cpuSeconds = cpuSecondsOf(pusher.pids()) - cpuBefore;
    const pssBytes = pssBytesOf(pusher.pids());
    const mediaMs = rooms.map((room) => mediaMsOf(stack, room));
    const streamMinutes = mediaMs.reduce((sum, ms) => sum + ms, 0) / 60_000;
    const shortest = Math.min(...mediaMs);
    if (shortest < windowSeconds * 950) {
      throw new Error(`${pusher.name} fell behind: a room got ${Math.round(shortest)} ms in ${windowSeconds} s.`);
    }
    return { cpuSecondsPerStreamMinute: cpuSeconds / streamMinutes, pssMbPerStream: pssBytes / 1e6 / streams };
  } finally {
    await pusher.stopAll();
  }
}

function mediaMsOf(stack: Stack, room: string): number {
  const video = videoOf(stack.emulator, room);
  return (video?.lastTimestampMs ?? 0) - (video?.firstTimestampMs ?? 0);
}

/** Time to the first picture at the receiver, ours and bare in turn. */
export async function measureFirstVideo(options: MeasurePushOptions): Promise<FirstVideo> {
  // SAFETY: an empty list is one of numbers.
  const times = { ours: [] as number[], bare: [] as number[] };
  options.onProgress(`first picture, ${options.firstVideoRuns} runs each`);
  for (let run = 0; run < options.firstVideoRuns; run += 1) {
    times.ours.push(await timeToFirstVideo(options, options.ours));
    times.bare.push(await timeToFirstVideo(options, options.bare));
  }
  const oursMs = median(times.ours);
  const bareMs = median(times.bare);
  return { runs: options.firstVideoRuns, oursMs, bareMs, ratio: oursMs / bareMs };
}

async function timeToFirstVideo({ stack, clipPath }: MeasurePushOptions, pusher: Pusher): Promise<number> {
  const rooms = newRooms(1);
  const clipUrl = stack.files.serve(clipPath);
  const startedAtMs = Date.now();
  try {
    await Promise.all(rooms.map((room) => pusher.start({ clipUrl, room })));
    await untilVideo(stack.emulator, rooms);
    const firstTagAtMs = videoOf(stack.emulator, rooms[0] ?? "")?.firstTagAtMs;
    return (firstTagAtMs ?? Number.NaN) - startedAtMs;
  } finally {
    await pusher.stopAll();
  }
}
