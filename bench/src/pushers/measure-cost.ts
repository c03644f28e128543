import { setTimeout as sleep } from "node:timers/promises";
import type { VideoReport } from "@roomcast/dev/emulator/room-report";
import type { Stack } from "@roomcast/dev/stack/stack";
import { median } from "../base/median.ts";
import { cpuSecondsOf, pssBytesOf } from "../base/process-usage.ts";
import type { Clip } from "./clip.ts";
import { newRooms } from "./new-rooms.ts";
import type { Pusher } from "./pusher.ts";
import { untilVideo, videosOf } from "./receiver.ts";

/** The cost of one side while it pushed N streams. */
export interface Cost {
  /** CPU-seconds per stream and minute of media. */
  readonly cpuSecondsPerStreamMinute: number;
  /** Proportional set size per stream, MB (10^6 bytes), at the end of the window. */
  readonly pssMbPerStream: number;
}

export interface MeasureCostOptions {
  readonly stack: Stack;
  readonly clip: Clip;
  readonly streams: number;
  readonly windowSeconds: number;
  /**
   * The time that they run before the window. With 0, the default, the window begins before the first start, and what it costs to
   * start is part of the cost.
   */
  readonly settleSeconds?: number;
  readonly onProgress: (what: string) => void;
  readonly signal: AbortSignal;
}

/** A room must get so much of the window, and what it got must have taken so much of its own time. */
const LEAST_SHARE = 0.95;
/** Thirty processes that start in one moment on a few cores run into their own connection time-outs. */
const START_AT_ONCE = 5;
/** The media that a reader may have sent ahead at its start, ms. */
const HEAD_START_MS = 1000;

/**
 * Measures the cost of N streams over a window. All of a worker's memory counts, also what it holds without any stream.
 *
 * @throws Error when a room did not get the media in real time: what costs nothing because nothing is sent is no result
 */
export async function measureCost(pusher: Pusher, options: MeasureCostOptions): Promise<Cost> {
  const { stack, streams, windowSeconds, settleSeconds = 0, signal } = options;
  options.onProgress(`${pusher.name}: ${streams} streams for ${windowSeconds} s`);
  const rooms = newRooms(streams);
  const clipUrl = options.clip(stack);
  const look = () => ({ cpuSeconds: cpuSecondsOf(pusher.pids()), videos: videosOf(stack.emulator, rooms) });
  let before = look();
  try {
    for (let first = 0; first < streams; first += START_AT_ONCE) {
      const group = rooms.slice(first, first + START_AT_ONCE);
      await Promise.all(group.map((room) => pusher.start({ clipUrl, room })));
      await untilVideo(stack.emulator, group, signal);
    }
    if (settleSeconds > 0) {
      await sleep(settleSeconds * 1000, undefined, { signal });
      before = look();
    }
    await sleep(windowSeconds * 1000, undefined, { signal });
    const after = look();
    const pssBytes = pssBytesOf(pusher.pids());
    const mediaMs = after.videos.map((video, n) => mediaMsOf(video) - mediaMsOf(before.videos[n]));
    checkPace(pusher.name, { mediaMs, videos: after.videos, windowSeconds });
    const streamMinutes = mediaMs.reduce((sum, ms) => sum + ms, 0) / 60_000;
    return {
      cpuSecondsPerStreamMinute: (after.cpuSeconds - before.cpuSeconds) / streamMinutes,
      pssMbPerStream: pssBytes / 1e6 / streams,
    };
  } finally {
    await pusher.stopAll();
  }
}

/** Of each number the one in the middle. */
export function medianCost(costs: readonly Cost[]): Cost {
  return {
    cpuSecondsPerStreamMinute: median(costs.map((cost) => cost.cpuSecondsPerStreamMinute)),
    pssMbPerStream: median(costs.map((cost) => cost.pssMbPerStream)),
  };
}

interface Delivered {
  /** Of each room, in the window. */
  readonly mediaMs: readonly number[];
  /** Of each room, from its first picture on. */
  readonly videos: readonly (VideoReport | undefined)[];
  readonly windowSeconds: number;
}

function checkPace(name: string, { mediaMs, videos, windowSeconds }: Delivered): void {
  const leastMs = Math.min(...mediaMs);
  if (leastMs < windowSeconds * 1000 * LEAST_SHARE) {
    throw new Error(`${name} fell behind: a room got ${Math.round(leastMs)} ms of media in ${windowSeconds} s.`);
  }
  for (const video of videos) {
    const gotMs = mediaMsOf(video);
    const tookMs = (video?.lastTagAtMs ?? 0) - (video?.firstTagAtMs ?? 0);
    if ((gotMs - HEAD_START_MS) * LEAST_SHARE > tookMs) {
      throw new Error(`${name} ran ahead: a room got ${Math.round(gotMs)} ms of media in ${Math.round(tookMs)} ms.`);
    }
  }
}

function mediaMsOf(video: VideoReport | undefined): number {
  return (video?.lastTimestampMs ?? 0) - (video?.firstTimestampMs ?? 0);
}
