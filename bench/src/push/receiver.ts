import type { RoomEmulator } from "@roomcast/dev/emulator/room-emulator";
import type { VideoReport } from "@roomcast/dev/emulator/room-report";

const POLL_MS = 5;
const PATIENCE_MS = 60_000;

/** The video that a user's first session brought into a string room; undefined: none yet. */
export function videoOf(emulator: RoomEmulator, room: string): VideoReport | undefined {
  return emulator.rooms().find(({ id }) => id === room)?.users[0]?.sessions[0]?.stream.video ?? undefined;
}

/** Waits until each of these rooms has seen a picture. */
export async function untilVideo(emulator: RoomEmulator, rooms: readonly string[]): Promise<void> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  for (;;) {
    const missing = rooms.filter((room) => (videoOf(emulator, room)?.tags ?? 0) === 0);
    if (missing.length === 0) return;
    if (Date.now() > deadlineMs) throw new Error(`No picture came to ${missing.join(", ")}.`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
