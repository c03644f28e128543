import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HlsSegment } from "./hls-segment.ts";
import {
  type Answer,
  HlsServer,
  PlainHttpClient,
  readAll,
  SleptClock,
  silent,
  textOf,
} from "./hls-server.test-support.ts";
import { type OpenHlsOptions, openHls } from "./open-hls.ts";

describe("HlsPresentation of a live stream", () => {
  let server: HlsServer;
  let clock: SleptClock;
  const signal = new AbortController().signal;

  beforeEach(async () => {
    server = await HlsServer.start();
    clock = new SleptClock();
  });
  afterEach(() => server.close());

  const open = (options: Partial<OpenHlsOptions> = {}) =>
    openHls({ url: server.url("/live.m3u8"), http: new PlainHttpClient(), signal, logger: silent, clock, ...options });

  const play = async (options: Partial<OpenHlsOptions> = {}) =>
    readAll((await open(options)).segments("main", { signal }));

  /** Serves segments of 2 s from one number to another, and returns their playlist. */
  const list = (first: number, last: number, { head = "", end = false, name = "s" } = {}) => {
    let text = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:${first}\n${head}`;
    for (let number = first; number <= last; number += 1) {
      server.serve(`/${name}${number}.ts`, `${name}${number}`);
      text += `#EXTINF:2,\n${name}${number}.ts\n`;
    }
    return end ? `${text}#EXT-X-ENDLIST\n` : text;
  };

  /** Answers each request for the playlist with the next answer, and later ones with the last answer. */
  const script = (...answers: Answer[]) => {
    let asked = 0;
    server.serveLive("/live.m3u8", () => answers[Math.min(asked++, answers.length - 1)] ?? 404);
  };

  const names = (read: readonly { text: string }[]) => read.map(({ text }) => text);

  it("begins three segments from the newest, follows the playlist and ends at its end tag", async () => {
    script(list(10, 15), list(11, 16), list(12, 17), list(12, 17), list(13, 18, { end: true }));
    const presentation = await open();
    expect(presentation).toMatchObject({ live: true, durationMs: null });
    const read = await readAll(presentation.segments("main", { signal }));
    expect(names(read)).toEqual(["s13", "s14", "s15", "s16", "s17", "s18"]);
    expect(read.map(({ segment }) => segment.discontinuity)).toEqual([true, false, false, false, false, false]);
    expect(read.map(({ segment }) => segment.startMs)).toEqual([6000, 8000, 10_000, 12_000, 14_000, 16_000]);
  });

  it("plays an EVENT playlist once from its beginning to its end tag when the mode is vod", async () => {
    const head = "#EXT-X-PLAYLIST-TYPE:EVENT\n";
    script(list(0, 4, { head }), list(0, 5, { head }), list(0, 6, { head, end: true }));
    const presentation = await open({ mode: "vod" });
    expect(presentation).toMatchObject({ live: false, durationMs: null });
    expect(names(await readAll(presentation.segments("main", { signal })))).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((n) => `s${n}`),
    );
  });

  it("joins an EVENT playlist near the newest segment when the mode is live", async () => {
    const head = "#EXT-X-PLAYLIST-TYPE:EVENT\n";
    script(list(0, 6, { head }), list(0, 7, { head, end: true }));
    expect(names(await play({ mode: "live" }))).toEqual(["s4", "s5", "s6", "s7"]);
  });

  it("plays only new segments when it is opened again, and fails when the encoder has stopped", async () => {
    script(list(10, 15), list(10, 15), list(11, 16), list(12, 17, { end: true }));
    const presentation = await open({ playedToMs: 0 });
    expect(clock.nowMs()).toBeGreaterThan(0);
    expect(names(await readAll(presentation.segments("main", { signal })))).toEqual(["s14", "s15", "s16", "s17"]);
    script(list(10, 15));
    await expect(open({ playedToMs: 0, patienceMs: 10_000 })).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
      message: expect.stringContaining("its encoder has stopped"),
    });
  });

  it("opens an EVENT playlist again in the mode vod only when it has more than was played", async () => {
    const head = "#EXT-X-PLAYLIST-TYPE:EVENT\n";
    script(list(0, 4, { head }));
    await expect(open({ mode: "vod", playedToMs: 9900, patienceMs: 10_000 })).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
      message: expect.stringContaining("its encoder has stopped"),
    });
    script(list(0, 4, { head }), list(0, 5, { head, end: true }));
    const grown = await open({ mode: "vod", playedToMs: 9900 });
    expect(names(await readAll(grown.segments("main", { fromMs: 10_000, signal })))).toEqual(["s5"]);
    const startedAtMs = clock.nowMs();
    script(list(0, 4, { head }));
    await open({ mode: "vod", playedToMs: 5000 });
    expect(clock.nowMs()).toBe(startedAtMs);
  });

  it("waits through temporary errors and empty playlists", async () => {
    script(
      list(0, 2),
      500,
      "#EXTM3U\n",
      "#EXTM3U\n#EXT-X-TARGETDURATION:2\n",
      404,
      "",
      list(1, 3),
      list(2, 4, { end: true }),
    );
    const read = await play();
    expect(names(read)).toEqual(["s0", "s1", "s2", "s3", "s4"]);
    expect(read.slice(1).every(({ segment }) => !segment.discontinuity)).toBe(true);
  });

  it("fails when the playlist does not grow for longer than the limit", async () => {
    script(list(0, 2));
    await expect(play({ patienceMs: 10_000 })).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
      message: "The live playlist has had no new segment for 10 s: its encoder has stopped.",
    });
    expect(clock.nowMs()).toBeLessThan(12_000);
  });

  it("fails with the server's error when the playlist cannot be read for longer than the limit", async () => {
    script(list(0, 2), 403);
    await expect(play({ patienceMs: 10_000 })).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
      message: expect.stringContaining("Forbidden (403)"),
    });
  });

  it("reloads the playlist after a segment's length, and after half of it when nothing is new", async () => {
    const askedAtMs: number[] = [];
    const lists = [list(0, 2), list(1, 3), list(1, 3), list(1, 3), list(2, 4, { end: true })];
    server.serveLive("/live.m3u8", () => {
      askedAtMs.push(clock.nowMs());
      return lists[Math.min(askedAtMs.length, lists.length) - 1] ?? 404;
    });
    await play();
    expect(askedAtMs).toEqual([0, 2000, 4000, 5000, 6000]);
  });

  it("reloads the playlist as seldom as the size of the last answer demands, although that is ignored or refused", async () => {
    const askedAtMs: number[] = [];
    const comment = `#${"x".repeat(5_999_999)}\n`;
    const stale = list(0, 1) + comment;
    const master = `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n${comment}`;
    const lists = [list(0, 2), stale, master, comment.repeat(3), list(1, 3, { end: true })];
    server.serveLive("/live.m3u8", () => {
      askedAtMs.push(clock.nowMs());
      return lists[Math.min(askedAtMs.length, lists.length) - 1] ?? 404;
    });
    await play();
    const waitsMs = askedAtMs.slice(1).map((ms, index) => Math.floor((ms - (askedAtMs[index] ?? 0)) / 1000));
    expect(waitsMs).toEqual([2, 3, 3, 8]);
  });

  it("continues with the new segments after a discontinuity when the sequence numbers restart", async () => {
    script(list(100, 105), list(0, 2, { name: "n" }), list(0, 3, { name: "n", end: true }));
    const read = await play();
    expect(names(read)).toEqual(["s103", "s104", "s105", "n0", "n1", "n2", "n3"]);
    expect(read.map(({ segment }) => segment.discontinuity)).toEqual([true, false, false, true, false, false, false]);
    const starts = read.map(({ segment }) => segment.startMs);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  });

  it("plays each segment once when every playlist is numbered from 0", async () => {
    const unnumbered = (first: number, last: number) => list(first, last).replace(/#EXT-X-MEDIA-SEQUENCE:\d+\n/, "");
    script(
      unnumbered(0, 3),
      unnumbered(1, 4),
      unnumbered(1, 4),
      unnumbered(3, 6),
      unnumbered(4, 7),
      `${unnumbered(5, 8)}#EXT-X-ENDLIST`,
    );
    const read = await play();
    expect(names(read)).toEqual(["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"]);
    expect(read.filter(({ segment }) => segment.discontinuity)).toHaveLength(1);
  });

  it("plays each segment once when the server renumbers the same segments", async () => {
    script(
      list(100, 104),
      list(101, 105),
      list(102, 106).replace("SEQUENCE:102", "SEQUENCE:0"),
      list(103, 107).replace("SEQUENCE:103", "SEQUENCE:1"),
      list(103, 107, { end: true }),
    );
    expect(names(await play())).toEqual(["s102", "s103", "s104", "s105", "s106", "s107"]);
  });

  it("plays all segments when their names are reused", async () => {
    const ring = (first: number) => {
      let text = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:${first}\n`;
      for (let number = first; number < first + 3; number += 1) text += `#EXTINF:2,\nring${number % 4}.ts\n`;
      return text;
    };
    for (const number of [0, 1, 2, 3]) server.serve(`/ring${number}.ts`, `ring${number}`);
    script(ring(4), ring(5), ring(6), `${ring(6)}#EXT-X-ENDLIST`);
    expect((await play()).map(({ segment }) => segment.sequence)).toEqual([4, 5, 6, 7, 8]);
  });

  it("does not play segments twice when a cache sends an older playlist", async () => {
    script(list(10, 14), list(11, 15), list(10, 14), list(9, 13), list(12, 16), list(12, 16, { end: true }));
    expect(names(await play())).toEqual(["s12", "s13", "s14", "s15", "s16"]);
  });

  it("continues near the newest segment when the next one has left the playlist", async () => {
    script(list(0, 3), list(50, 55), list(50, 55, { end: true }));
    const read = await play();
    expect(names(read)).toEqual(["s1", "s2", "s3", "s53", "s54", "s55"]);
    expect(read[3]?.segment.discontinuity).toBe(true);
  });

  it("jumps to the newest segments after its reader was away", async () => {
    const lists = [list(0, 5), list(0, 40), list(0, 41, { end: true })];
    script(...lists);
    const read: string[] = [];
    const breaks: HlsSegment[] = [];
    for await (const segment of (await open()).segments("main", { signal })) {
      read.push(await textOf(segment));
      if (segment.discontinuity) breaks.push(segment);
      if (read.length === 1) clock.pass(70_000);
    }
    expect(read).toEqual(["s3", "s38", "s39", "s40", "s41"]);
    expect(breaks.map(({ sequence }) => sequence)).toEqual([3, 38]);
  });

  it("waits for a late segment and leaves out a missing one", async () => {
    script(list(0, 5), list(0, 6), list(0, 7, { end: true }));
    let asked = 0;
    server.serveLive("/s4.ts", () => ((asked += 1) <= 2 ? 404 : "s4"));
    server.serve("/s5.ts", 404);
    const read = await play();
    expect(names(read)).toEqual(["s3", "s4", "s6", "s7"]);
    expect(read.map(({ segment }) => segment.discontinuity)).toEqual([true, false, true, false]);
  });

  it("fails when the playlist grows but no segment can be read", async () => {
    let last = 3;
    server.serveLive("/live.m3u8", () => {
      last += 1;
      const text = list(last - 3, last);
      for (let number = 4; number <= last; number += 1) server.serve(`/s${number}.ts`, 404);
      return text;
    });
    await expect(play({ patienceMs: 10_000 })).rejects.toMatchObject({ code: "FailedOperation.SourceLost" });
    expect(clock.nowMs()).toBeLessThan(20_000);
  });

  it("fails when the playlist grows but declares only gaps", async () => {
    let last = 3;
    server.serveLive("/live.m3u8", () => {
      last += 1;
      return list(last - 3, last).replaceAll("#EXTINF", "#EXT-X-GAP\n#EXTINF");
    });
    await expect(play({ patienceMs: 10_000 })).rejects.toMatchObject({ code: "FailedOperation.SourceLost" });
  });

  it("gives correct start times although the playlist is reloaded while a segment is read", async () => {
    let last = 5;
    server.serveLive("/live.m3u8", () => {
      last += 1;
      return list(last - 5, last, { end: last > 12 });
    });
    const presentation = await open();
    const places: number[] = [];
    for await (const { sequence, startMs } of presentation.segments("main", { signal })) {
      places.push(startMs - sequence * 2000);
      clock.pass(1900);
    }
    expect(new Set(places).size).toBe(1);
  });

  it("joins the newest playlist when it is read long after it was opened", async () => {
    script(list(0, 5), list(100, 105, { end: true }));
    const presentation = await open();
    clock.pass(200_000);
    expect(names(await readAll(presentation.segments("main", { signal })))[0]).not.toBe("s3");
  });

  it("ends without playing a segment twice when the last playlist is renumbered", async () => {
    script(
      list(100, 103),
      list(101, 104),
      `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns103.ts\n#EXTINF:2,\ns104.ts\n#EXT-X-ENDLIST\n`,
    );
    expect(names(await play())).toEqual(["s101", "s102", "s103", "s104"]);
  });
});
