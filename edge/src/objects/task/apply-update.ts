import type { PushRequest, TaskUpdate } from "@roomcast/shared";
import type { Progress } from "../../model/progress.ts";

/** The parts of a task that another attempt needs to continue the push. */
export interface Playing {
  readonly request: PushRequest;
  readonly progress: Progress | null;
  readonly paused: boolean;
}

/** The progress of a source that no worker has reported yet. */
const UNSEEN = { durationMs: null, fps: 0, bitRateKbps: 0, droppedFrames: 0 } as const;

/**
 * Returns the push after a change. A new source replaces the whole playlist and starts at its beginning or at
 * SeekSecond. A new position is stored as progress, because the request's SeekSecond counts only for the beginning of a
 * push. Pure.
 */
export function applyUpdate(before: Playing, change: TaskUpdate, atMs: number): Playing {
  const { VideoSrc, SeekSecond, IsPause, ...settings } = change;
  const moved = VideoSrc !== undefined || SeekSecond !== undefined;
  const { SeekSecond: _first, ...rest } = before.request;
  const request: PushRequest = {
    ...(moved ? rest : before.request),
    ...settings,
    ...(VideoSrc === undefined ? {} : { VideoSrc }),
  };
  return {
    request,
    paused: IsPause ?? before.paused,
    progress: moved ? placed(before, change, atMs) : before.progress,
  };
}

function placed({ progress }: Playing, { VideoSrc, SeekSecond = 0 }: TaskUpdate, atMs: number): Progress {
  const sameSource = VideoSrc === undefined ? progress : null;
  return { ...UNSEEN, item: 0, ...sameSource, positionMs: Math.round(SeekSecond * 1000), updatedAtMs: atMs };
}
