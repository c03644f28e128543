import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "@roomcast/dev/stack/stack";
import { newRooms } from "../pushers/new-rooms.ts";
import type { Pusher } from "../pushers/pusher.ts";
import { untilVideo } from "../pushers/receiver.ts";
import { largestGaps } from "./picture-gaps.ts";
import { RoomTap } from "./room-tap.ts";

/** So many streams at once. */
export interface CapacityStep {
  readonly streams: number;
  /** Of the room that got least: media time by wall-clock time. */
  readonly leastShare: number;
  /** The largest of any room, of timestamps or of arrivals, ms. */
  readonly largestGapMs: number;
  readonly held: boolean;
}

export interface CapacityReport {
  /** The last number of streams that held; 0: not even one. */
  readonly held: number;
  /** False if the search ended before any number of streams failed. */
  readonly foundLimit: boolean;
  readonly steps: readonly CapacityStep[];
}

export interface MeasureCapacityOptions {
  readonly stack: Stack;
  readonly pusher: Pusher;
  readonly clipPath: string;
  readonly windowSeconds: number;
  /** The largest number of streams that is tried. */
  readonly most: number;
  readonly onProgress: (what: string) => void;
  readonly signal: AbortSignal;
}

const LEAST_SHARE = 0.95;
const LARGEST_GAP_MS = 100;
/** Every encoder runs ahead at full speed when it starts; this many pictures later (5 s) that is over. */
const SETTLED_PICTURES = 150;

/** Starts all streams again with one more each time, until one of them falls behind. */
export async function measureCapacity(options: MeasureCapacityOptions): Promise<CapacityReport> {
  const steps: CapacityStep[] = [];
  for (let streams = 1; streams <= options.most && steps.at(-1)?.held !== false; streams += 1) {
    options.onProgress(`${streams} transcodes for ${options.windowSeconds} s`);
    steps.push(await tryStreams(options, streams));
  }
  return {
    held: steps.findLast((step) => step.held)?.streams ?? 0,
    foundLimit: steps.at(-1)?.held === false,
    steps,
  };
}

async function tryStreams(options: MeasureCapacityOptions, streams: number): Promise<CapacityStep> {
  const { stack, pusher, windowSeconds, signal } = options;
  const rooms = newRooms(streams);
  const clipUrl = stack.files.serve(options.clipPath);
  try {
    await Promise.all(rooms.map((room) => pusher.start({ clipUrl, room })));
    await untilVideo(stack.emulator, rooms, signal);
    const taps = rooms.map((room) => RoomTap.open(stack.emulator, room));
    await Promise.all(taps.map((tap) => tap.until("a settled stream", () => isSettled(tap), signal)));
    const fromMs = performance.now();
    await sleep(windowSeconds * 1000, undefined, { signal });
    const tookMs = performance.now() - fromMs;
    const seen = taps.map((tap) => tap.pictures.filter(({ arrivedAtMs }) => arrivedAtMs >= fromMs));
    for (const tap of taps) tap.close();
    const gaps = seen.map(largestGaps);
    const leastShare = Math.min(...seen.map((pictures) => mediaMsOf(pictures) / tookMs));
    const largestGapMs = Math.max(...gaps.flatMap(({ dtsMs, arrivalMs }) => [dtsMs, arrivalMs]));
    const held = leastShare >= LEAST_SHARE && largestGapMs <= LARGEST_GAP_MS;
    return { streams, leastShare, largestGapMs, held };
  } finally {
    await pusher.stopAll();
  }
}

function isSettled({ pictures }: RoomTap): boolean {
  return pictures.length >= SETTLED_PICTURES;
}

function mediaMsOf(pictures: RoomTap["pictures"]): number {
  return (pictures.at(-1)?.dtsMs ?? 0) - (pictures[0]?.dtsMs ?? 0);
}
