import type { Stack } from "@roomcast/dev/stack/stack";
import { median } from "../base/median.ts";
import { newRooms } from "../pushers/new-rooms.ts";
import { untilVideo } from "../pushers/receiver.ts";
import type { RoomcastPusher } from "../pushers/roomcast-pusher.ts";
import { largestGaps, type PictureGaps } from "./picture-gaps.ts";
import { RoomTap } from "./room-tap.ts";

/** Switches of one kind. Gaps are those between neighbouring pictures in the second around the cut. */
export interface SwitchReport {
  /** From the PATCH call to the first picture of the new source in the room, ms. */
  readonly newPictureMedianMs: number;
  readonly newPictureWorstMs: number;
  /** The largest step of timestamps at any switch, ms. */
  readonly dtsGapWorstMs: number;
  /** The largest wall-clock time between arrivals at a switch, ms. */
  readonly arrivalGapMedianMs: number;
  readonly arrivalGapWorstMs: number;
  /** The same in a second before the call: what pacing and the machine make without any switch. */
  readonly steadyArrivalGapMedianMs: number;
  readonly steadyArrivalGapWorstMs: number;
}

export interface SwitchesReport {
  /** Of each kind. */
  readonly runs: number;
  /** The new source is opened while the old one plays on. */
  readonly preRolled: SwitchReport;
  /** The new source was named in `Preload` before the switch. */
  readonly preloaded: SwitchReport;
}

export interface MeasureSwitchesOptions {
  readonly stack: Stack;
  readonly ours: RoomcastPusher;
  readonly oldClipPath: string;
  /** Encoded differently from the old one, so that the room's sequence header tells them apart. */
  readonly newClipPath: string;
  readonly runs: number;
  readonly onProgress: (what: string) => void;
  readonly signal: AbortSignal;
}

interface Switch {
  readonly newPictureMs: number;
  readonly gaps: PictureGaps;
  readonly steadyGaps: PictureGaps;
}

/** Pictures. */
const SECOND = 30;
const HALF_SECOND = SECOND / 2;

/** Switches between two sources, pre-rolled and preloaded in turn, each in another room. */
export async function measureSwitches(options: MeasureSwitchesOptions): Promise<SwitchesReport> {
  // SAFETY: empty lists are lists of switches.
  const switches = { preRolled: [] as Switch[], preloaded: [] as Switch[] };
  options.onProgress(`${options.runs} switches of each kind`);
  for (let run = 0; run < options.runs; run += 1) {
    switches.preRolled.push(await measureSwitch(options, { preload: false }));
    switches.preloaded.push(await measureSwitch(options, { preload: true }));
  }
  return {
    runs: options.runs,
    preRolled: reportOf(switches.preRolled),
    preloaded: reportOf(switches.preloaded),
  };
}

async function measureSwitch(options: MeasureSwitchesOptions, { preload }: { preload: boolean }): Promise<Switch> {
  const { stack, ours, signal } = options;
  const [room = ""] = newRooms(1);
  const clipUrl = stack.files.serve(options.oldClipPath);
  const newUrl = stack.files.serve(options.newClipPath);
  try {
    const taskId = await ours.push({ clipUrl, room }, preload ? { Preload: [newUrl] } : {});
    await untilVideo(stack.emulator, [room], signal);
    const tap = RoomTap.open(stack.emulator, room);
    const { pictures } = tap;
    const preloads = () => !preload || stack.files.requests(newUrl) > 0;
    await tap.until("the old source", () => pictures.length > 2 * SECOND && preloads(), signal);
    const steadyGaps = largestGaps(pictures.slice(-SECOND));
    const calledAtMs = performance.now();
    const [first] = pictures;
    const cut = () => pictures.findIndex(({ encode }) => encode !== first?.encode);
    await Promise.all([
      stack.client.change(taskId, { VideoSrc: newUrl }),
      tap.until("the new source", () => cut() >= 0 && pictures.length > cut() + HALF_SECOND, signal),
    ]);
    tap.close();
    const at = cut();
    return {
      newPictureMs: (pictures[at]?.arrivedAtMs ?? Number.NaN) - calledAtMs,
      gaps: largestGaps(pictures.slice(at - HALF_SECOND, at + HALF_SECOND)),
      steadyGaps,
    };
  } finally {
    await ours.stopAll();
  }
}

function reportOf(switches: readonly Switch[]): SwitchReport {
  const newPicture = switches.map(({ newPictureMs }) => newPictureMs);
  const arrival = switches.map(({ gaps }) => gaps.arrivalMs);
  const steady = switches.map(({ steadyGaps }) => steadyGaps.arrivalMs);
  return {
    newPictureMedianMs: median(newPicture),
    newPictureWorstMs: Math.max(...newPicture),
    dtsGapWorstMs: Math.max(...switches.map(({ gaps }) => gaps.dtsMs)),
    arrivalGapMedianMs: median(arrival),
    arrivalGapWorstMs: Math.max(...arrival),
    steadyArrivalGapMedianMs: median(steady),
    steadyArrivalGapWorstMs: Math.max(...steady),
  };
}
