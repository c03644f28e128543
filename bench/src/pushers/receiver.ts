import { setTimeout as sleep } from "node:timers/promises";
import type { RoomEmulator } from "@roomcast/dev/emulator/room-emulator";
import type { VideoReport } from "@roomcast/dev/emulator/room-report";

const POLL_MS = 10;
const PATIENCE_MS = 60_000;

/** Returns the video of the first session in each of these string rooms, or undefined where there is none yet. */
export function videosOf(emulator: RoomEmulator, rooms: readonly string[]): (VideoReport | undefined)[] {
  const reports = new Map(emulator.rooms().map((report) => [report.id, report]));
  return rooms.map((room) => reports.get(room)?.users[0]?.sessions[0]?.stream.video ?? undefined);
}

/**
 * Waits until each of these rooms has seen a picture.
 *
 * @returns their video by then
 */
export async function untilVideo(
  emulator: RoomEmulator,
  rooms: readonly string[],
  signal: AbortSignal,
): Promise<VideoReport[]> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  for (;;) {
    const videos = videosOf(emulator, rooms).flatMap((video) =>
      video === undefined || video.tags === 0 ? [] : [video],
    );
    if (videos.length === rooms.length) return videos;
    if (Date.now() > deadlineMs) throw new Error(`No picture came to ${rooms.length - videos.length} rooms.`);
    await sleep(POLL_MS, undefined, { signal });
  }
}
