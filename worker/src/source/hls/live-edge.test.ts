import { describe, expect, it } from "vitest";
import { readingPauseMs, reloadDelayMs } from "./live-edge.ts";
import { MAX_PLAYLIST_BYTES, readPlaylist } from "./read-playlist.ts";

describe("readingPauseMs", () => {
  it("lets a day of segments be reloaded as often as they come, and a playlist of many megabytes less often", () => {
    const text = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n${"#EXTINF:2,\nsegment.ts\n".repeat(43_200)}`;
    const playlist = readPlaylist({ body: Buffer.from(text), url: "http://x.example/" });
    if (playlist.kind !== "media") throw new Error("A media playlist was expected.");
    expect(reloadDelayMs(playlist, true)).toBe(2000);
    expect(readingPauseMs(playlist.bytes)).toBeLessThan(2000);
    expect(readingPauseMs(MAX_PLAYLIST_BYTES)).toBeGreaterThan(8000);
  });
});
