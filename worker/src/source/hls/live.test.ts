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

describe("A live HLS stream", () => {
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

  /** Segments of 2 s from one number to another, named after the stream. */
  const list = (first: number, last: number, { head = "", end = false, name = "s" } = {}) => {
    let text = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:${first}\n${head}`;
    for (let number = first; number <= last; number += 1) {
      server.serve(`/${name}${number}.ts`, `${name}${number}`);
      text += `#EXTINF:2,\n${name}${number}.ts\n`;
    }
    return end ? `${text}#EXT-X-ENDLIST\n` : text;
  };

  /** The answers come one after the other; the last one stays. */
  const script = (...answers: Answer[]) => {
    let asked = 0;
    server.serveLive("/live.m3u8", () => answers[Math.min(asked++, answers.length - 1)] ?? 404);
  };

  const names = (read: readonly { text: string }[]) => read.map(({ text }) => text);

  it("begins three segments from the newest, follows, and ends when the list says so", async () => {
    script(list(10, 15), list(11, 16), list(12, 17), list(12, 17), list(13, 18, { end: true }));
    const presentation = await open();
    expect(presentation).toMatchObject({ live: true, durationMs: null });
    const read = await readAll(presentation.segments("main", { signal }));
    expect(names(read)).toEqual(["s13", "s14", "s15", "s16", "s17", "s18"]);
    expect(read.map(({ segment }) => segment.discontinuity)).toEqual([true, false, false, false, false, false]);
    expect(read.map(({ segment }) => segment.startMs)).toEqual([6000, 8000, 10_000, 12_000, 14_000, 16_000]);
  });

  it("plays an EVENT list that is asked for as recorded from its beginning to its ENDLIST, once", async () => {
    const head = "#EXT-X-PLAYLIST-TYPE:EVENT\n";
    script(list(0, 4, { head }), list(0, 5, { head }), list(0, 6, { head, end: true }));
    const presentation = await open({ mode: "vod" });
    expect(presentation).toMatchObject({ live: false, durationMs: null });
    expect(names(await readAll(presentation.segments("main", { signal })))).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((n) => `s${n}`),
    );
  });

  it("joins an EVENT list near the newest when it is asked for as live", async () => {
    const head = "#EXT-X-PLAYLIST-TYPE:EVENT\n";
    script(list(0, 6, { head }), list(0, 7, { head, end: true }));
    expect(names(await play({ mode: "live" }))).toEqual(["s4", "s5", "s6", "s7"]);
  });

  it("waits through errors and empty lists that pass", async () => {
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

  it("is lost when its list stops growing for longer than the patience", async () => {
    script(list(0, 2));
    await expect(play({ patienceMs: 10_000 })).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
      message: "The live playlist has brought no new segment for 10 s: its encoder has stopped.",
    });
    expect(clock.nowMs()).toBeLessThan(12_000);
  });

  it("is lost with the server's answer when its list cannot be read for longer than the patience", async () => {
    script(list(0, 2), 403);
    await expect(play({ patienceMs: 10_000 })).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
      message: expect.stringContaining("Forbidden (403)"),
    });
  });

  it("reads the list again after a segment's length, and after half of it when nothing is new", async () => {
    const askedAtMs: number[] = [];
    const lists = [list(0, 2), list(1, 3), list(1, 3), list(1, 3), list(2, 4, { end: true })];
    server.serveLive("/live.m3u8", () => {
      askedAtMs.push(clock.nowMs());
      return lists[Math.min(askedAtMs.length, lists.length) - 1] ?? 404;
    });
    await play();
    expect(askedAtMs).toEqual([0, 2000, 4000, 5000, 6000]);
  });

  it("goes on with the newest, marked as not continuous, when the numbers begin again", async () => {
    script(list(100, 105), list(0, 2, { name: "n" }), list(0, 3, { name: "n", end: true }));
    const read = await play();
    expect(names(read)).toEqual(["s103", "s104", "s105", "n0", "n1", "n2", "n3"]);
    expect(read.map(({ segment }) => segment.discontinuity)).toEqual([true, false, false, true, false, false, false]);
    const starts = read.map(({ segment }) => segment.startMs);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  });

  it("plays each segment once when every list is numbered from 0", async () => {
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

  it("plays each segment once when a server numbers the same segments another way", async () => {
    script(
      list(100, 104),
      list(101, 105),
      list(102, 106).replace("SEQUENCE:102", "SEQUENCE:0"),
      list(103, 107).replace("SEQUENCE:103", "SEQUENCE:1"),
      list(103, 107, { end: true }),
    );
    expect(names(await play())).toEqual(["s102", "s103", "s104", "s105", "s106", "s107"]);
  });

  it("goes on although names are used again", async () => {
    const ring = (first: number) => {
      let text = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:${first}\n`;
      for (let number = first; number < first + 3; number += 1) text += `#EXTINF:2,\nring${number % 4}.ts\n`;
      return text;
    };
    for (const number of [0, 1, 2, 3]) server.serve(`/ring${number}.ts`, `ring${number}`);
    script(ring(4), ring(5), ring(6), `${ring(6)}#EXT-X-ENDLIST`);
    expect((await play()).map(({ segment }) => segment.sequence)).toEqual([4, 5, 6, 7, 8]);
  });

  it("does not play twice what an old state of the list in a cache names", async () => {
    script(list(10, 14), list(11, 15), list(10, 14), list(9, 13), list(12, 16), list(12, 16, { end: true }));
    expect(names(await play())).toEqual(["s12", "s13", "s14", "s15", "s16"]);
  });

  it("goes on near the newest when its place has left the list", async () => {
    script(list(0, 3), list(50, 55), list(50, 55, { end: true }));
    const read = await play();
    expect(names(read)).toEqual(["s1", "s2", "s3", "s53", "s54", "s55"]);
    expect(read[3]?.segment.discontinuity).toBe(true);
  });

  it("is brought back to the newest when its reader was away", async () => {
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

  it("waits for a segment that comes late, and leaves out one that does not come", async () => {
    script(list(0, 5), list(0, 6), list(0, 7, { end: true }));
    let asked = 0;
    server.serveLive("/s4.ts", () => ((asked += 1) <= 2 ? 404 : "s4"));
    server.serve("/s5.ts", 404);
    const read = await play();
    expect(names(read)).toEqual(["s3", "s4", "s6", "s7"]);
    expect(read.map(({ segment }) => segment.discontinuity)).toEqual([true, false, true, false]);
  });

  it("is lost when its list goes on and its segments do not come", async () => {
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

  it("is lost when its list goes on and declares nothing but gaps", async () => {
    let last = 3;
    server.serveLive("/live.m3u8", () => {
      last += 1;
      return list(last - 3, last).replaceAll("#EXTINF", "#EXT-X-GAP\n#EXTINF");
    });
    await expect(play({ patienceMs: 10_000 })).rejects.toMatchObject({ code: "FailedOperation.SourceLost" });
  });

  it("gives right places on its clock although the list is read again meanwhile", async () => {
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

  it("joins the newest list when it is read long after it was opened", async () => {
    script(list(0, 5), list(100, 105, { end: true }));
    const presentation = await open();
    clock.pass(200_000);
    expect(names(await readAll(presentation.segments("main", { signal })))[0]).not.toBe("s3");
  });

  it("ends without playing anything twice when the list is numbered anew as it ends", async () => {
    script(
      list(100, 103),
      list(101, 104),
      `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns103.ts\n#EXTINF:2,\ns104.ts\n#EXT-X-ENDLIST\n`,
    );
    expect(names(await play())).toEqual(["s101", "s102", "s103", "s104"]);
  });
});
