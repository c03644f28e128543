import { RoomcastError } from "@roomcast/shared";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { MediaPlaylist } from "./media-playlist.ts";
import { PlaylistFollower, type RenditionSource } from "./playlist-follower.ts";
import { readPlaylist } from "./read-playlist.ts";

/** Makes a live playlist with segments of 1 s. */
function live({ first = 10, comment = "" }: { first?: number; comment?: string } = {}): MediaPlaylist {
  const numbers = Array.from({ length: 5 }, (_, index) => first + index);
  const segments = numbers.map((number) => `#EXTINF:1,\ns${number}.ts\n`).join("");
  const body = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:${first}\n#${comment}\n${segments}`;
  const playlist = readPlaylist({ body: Buffer.from(body), url: "http://x.example/" });
  if (playlist.kind !== "media") throw new Error("A media playlist was expected.");
  return playlist;
}

/** Returns how long a follower of a small live playlist waits after a reload, ms. */
async function waitAfter(reload: RenditionSource["reload"]): Promise<number> {
  let nowMs = 0;
  const follower = new PlaylistFollower({
    track: "main",
    source: { playlist: live(), loadedAtMs: 0, reload },
    baseMs: 0,
    clock: { nowMs: () => nowMs, sleep: async () => undefined },
    logger: pino({ level: "silent" }),
    signal: new AbortController().signal,
  });
  nowMs += follower.dueInMs;
  await follower.refresh(true);
  return follower.dueInMs;
}

/** Returns how long a follower waits after it has been given this playlist. */
async function waitAfterPlaylist(playlist: MediaPlaylist): Promise<number> {
  return waitAfter(async (_signal, onRead) => {
    onRead(playlist.bytes);
    return playlist;
  });
}

describe("PlaylistFollower", () => {
  const comment = "x".repeat(10_000_000);

  it("reads a small live playlist again after the length of a segment", async () => {
    expect(await waitAfterPlaylist(live({ first: 11 }))).toBe(1000);
  });

  it.each([
    ["brings new segments", live({ first: 11, comment })],
    ["brings nothing new", live({ comment })],
    ["is older than the last one and ignored", live({ first: 9, comment })],
  ])("waits 5 s after a playlist of 10 MB that %s", async (_what, playlist) => {
    expect(await waitAfterPlaylist(playlist)).toBeGreaterThanOrEqual(5000);
  });

  it("waits 5 s after a document of 10 MB that is refused", async () => {
    const waitMs = await waitAfter(async (_signal, onRead) => {
      onRead(10_000_000);
      throw new RoomcastError("FailedOperation.SourceNotMedia", "It is a master playlist.");
    });
    expect(waitMs).toBe(5000);
  });

  it("reads a playlist again soon after a small answer that is refused", async () => {
    const waitMs = await waitAfter(async () => {
      throw new RoomcastError("FailedOperation.SourceUnreachable", "The server refuses connections.");
    });
    expect(waitMs).toBe(500);
  });
});
