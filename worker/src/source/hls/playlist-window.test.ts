import { describe, expect, it } from "vitest";
import type { MediaPlaylist } from "./media-playlist.ts";
import { alignedBaseMs, PlaylistWindow } from "./playlist-window.ts";
import { readPlaylist } from "./read-playlist.ts";

interface ListOptions {
  readonly name?: string;
  readonly end?: boolean;
  /** Seconds since 1970 of the first segment. */
  readonly date?: number;
  readonly query?: string;
}

/** Makes a playlist with segments of 2 s from one number to another. */
function list(first: number, last: number, options: ListOptions = {}): MediaPlaylist {
  const { name = "s", end = false, date, query = "" } = options;
  let text = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:${first}\n`;
  if (date !== undefined) text += `#EXT-X-PROGRAM-DATE-TIME:${new Date(date * 1000).toISOString()}\n`;
  for (let number = first; number <= last; number += 1)
    text += `#EXTINF:2,\ndir${query.slice(3)}/${name}${number}.ts${query}\n`;
  const playlist = readPlaylist({
    body: Buffer.from(end ? `${text}#EXT-X-ENDLIST\n` : text),
    url: "http://x.example/",
  });
  if (playlist.kind !== "media") throw new Error("A media playlist was expected.");
  return playlist;
}

describe("PlaylistWindow", () => {
  it.each<readonly [string, string, MediaPlaylist, number]>([
    ["has one more segment", "grown", list(11, 15), 2000],
    ["has not changed", "unchanged", list(10, 14), 0],
    ["has one more segment and other tokens in its addresses", "grown", list(11, 15, { query: "?t=2" }), 2000],
    ["begins earlier than before", "grown", list(5, 15), -10_000],
    ["has only segments after the known ones", "grown", list(17, 21), 14_000],
    ["has an end tag", "grown", list(10, 14, { end: true }), 0],
    ["is empty for a moment", "unchanged", list(0, -1), 0],
    ["is empty and has an end tag", "grown", list(0, -1, { end: true }), 0],
    ["comes from a cache that lags by one", "stale", list(9, 13), 0],
    ["comes from a cache that lags by two", "stale", list(8, 12), 0],
    ["is numbered from 0 and has other names", "restarted", list(0, 2, { name: "n" }), 10_000],
    ["is numbered from 0, has other names and has ended", "restarted", list(0, 2, { name: "n", end: true }), 10_000],
    ["has the same numbers and other names", "restarted", list(10, 14, { name: "n" }), 10_000],
    ["is numbered by the time of day", "restarted", list(1_700_000_000, 1_700_000_004, { name: "n" }), 10_000],
  ])("takes a reloaded playlist that %s as %s", (_name, change, next, baseMs) => {
    const window = new PlaylistWindow(list(10, 14), 0);
    expect([window.update(next), window.baseMs]).toEqual([change, baseMs]);
  });

  it("distinguishes a restarted playlist from an older one by the dates", () => {
    const window = new PlaylistWindow(list(10, 14, { date: 1000 }), 0);
    expect(window.update(list(0, 4, { date: 980 }))).toBe("stale");
    expect(window.update(list(0, 2, { date: 1020 }))).toBe("restarted");
  });

  it("restarts when playlists with known names stay behind and grow", () => {
    const window = new PlaylistWindow(list(0, 30), 0);
    expect([0, 1, 2].map((last) => window.update(list(0, last)))).toEqual(["stale", "stale", "restarted"]);
    expect(window.epoch).toBe(1);
  });

  it("does not restart when a playlist is behind only now and then", () => {
    const window = new PlaylistWindow(list(0, 30), 0);
    const changes = [list(0, 20), list(0, 31), list(0, 21), list(0, 32), list(0, 22)].map((next) =>
      window.update(next),
    );
    expect(changes).toEqual(["stale", "grown", "stale", "grown", "stale"]);
  });

  it("keeps its position on the clock after 2,000 reloads", () => {
    const window = new PlaylistWindow(list(0, 4), 500);
    for (let first = 1; first <= 2000; first += 1) window.update(list(first, first + 4));
    expect(window.baseMs).toBe(500 + 2000 * 2000);
  });

  it("finds the segment at a given time", () => {
    const window = new PlaylistWindow(list(0, 4), 0);
    expect([-5, 0, 1999, 2000, 9999, 10_000].map((timeMs) => window.at(timeMs)?.sequence)).toEqual([
      0,
      0,
      0,
      1,
      4,
      undefined,
    ]);
  });

  it("recognises a long renumbered playlist by the names at its beginning", () => {
    const window = new PlaylistWindow(list(20_000, 29_999), 0);
    const renumbered = list(20_003, 30_002).segments.map((segment, n) => ({ ...segment, sequence: n }));
    expect(window.update({ ...list(20_003, 30_002), segments: renumbered })).toBe("grown");
    expect(window.bySequence(30_002)?.uri).toContain("s30002.ts");
  });

  describe("alignedBaseMs", () => {
    const picture = new PlaylistWindow(list(10, 14), 0);
    it.each<readonly [string, MediaPlaylist, PlaylistWindow, number]>([
      [
        "lets two recorded playlists begin together",
        list(0, 4, { end: true }),
        new PlaylistWindow(list(7, 9, { end: true }), 0),
        0,
      ],
      ["aligns by the sequence numbers", list(11, 15, { name: "a" }), picture, 2000],
      ["aligns by the sequence numbers when the other playlist is newer", list(8, 12, { name: "a" }), picture, -4000],
      [
        "lets live playlists end together when they have no number in common",
        list(500, 502, { name: "a" }),
        picture,
        4000,
      ],
      [
        "aligns by the dates",
        list(500, 504, { date: 1004 }),
        new PlaylistWindow(list(10, 14, { date: 1000 }), 0),
        4000,
      ],
      [
        "ignores dates that are hours apart",
        list(11, 15, { date: 9000 }),
        new PlaylistWindow(list(10, 14, { date: 1000 }), 0),
        2000,
      ],
    ])("%s", (_name, playlist, other, baseMs) => {
      expect(alignedBaseMs(playlist, other)).toBe(baseMs);
    });
  });
});
