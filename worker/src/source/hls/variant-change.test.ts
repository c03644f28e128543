import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HlsServer, PlainHttpClient, readAll, SleptClock, silent, textOf } from "./hls-server.test-support.ts";
import { type OpenHlsOptions, openHls } from "./open-hls.ts";

describe("HlsPresentation of several variants", () => {
  let server: HlsServer;
  let clock: SleptClock;
  const signal = new AbortController().signal;

  beforeEach(async () => {
    server = await HlsServer.start();
    clock = new SleptClock();
    server.serve(
      "/m.m3u8",
      "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=4000000,RESOLUTION=1920x1080\nhi.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720\nmid.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=500000,RESOLUTION=640x360\nlo.m3u8\n",
    );
  });
  afterEach(() => server.close());

  const open = (options: Partial<OpenHlsOptions> = {}) =>
    openHls({ url: server.url("/m.m3u8"), http: new PlainHttpClient(), signal, logger: silent, clock, ...options });

  /** Serves segments of 4 s from one number to another in each variant, with the variant's name in the body. */
  const list = (name: string, first: number, last: number, tail = "#EXT-X-ENDLIST\n") => {
    let text = `#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:${first}\n`;
    for (let number = first; number <= last; number += 1) {
      server.serve(`/${name}${number}`, `${name}${number}`);
      text += `#EXTINF:4,\n${name}${number}\n`;
    }
    return `${text}${tail}`;
  };
  const recorded = () => {
    for (const name of ["hi", "mid", "lo"]) server.serve(`/${name}.m3u8`, list(name, 0, 5));
  };

  it("changes to the next lower variant at the next segment after stepDown", async () => {
    recorded();
    const presentation = await open();
    const read: (readonly [string, boolean, number])[] = [];
    for await (const segment of presentation.segments("main", { signal })) {
      read.push([await textOf(segment), segment.discontinuity, segment.startMs]);
      if (read.length === 2 || read.length === 4) presentation.stepDown();
    }
    expect(read).toEqual([
      ["hi0", true, 0],
      ["hi1", false, 4000],
      ["mid2", true, 8000],
      ["mid3", false, 12_000],
      ["lo4", true, 16_000],
      ["lo5", false, 20_000],
    ]);
    expect(presentation.variant?.height).toBe(360);
  });

  it("keeps the lowest variant after stepDown", async () => {
    recorded();
    const presentation = await open({ maxHeight: 360 });
    presentation.stepDown();
    const read = await readAll(presentation.segments("main", { signal }));
    expect(read.map(({ text }) => text)).toEqual(["lo0", "lo1", "lo2", "lo3", "lo4", "lo5"]);
  });

  it("changes to a variant that the source can deliver when segments arrive too slowly", async () => {
    recorded();
    for (const number of [0, 1]) {
      server.serve(`/hi${number}`, (_request, response) => {
        // 4 s of media in 8 s: 1 Mbit/s.
        clock.pass(8000);
        response.end(Buffer.alloc(1_000_000, `hi${number}`));
      });
    }
    const read = await readAll((await open()).segments("main", { signal }));
    expect(read.map(({ text }) => text.slice(0, 3))).toEqual(["hi0", "hi1", "lo2", "lo3", "lo4", "lo5"]);
  });

  it("keeps the variant when one segment is late", async () => {
    recorded();
    server.serve("/hi1", (_request, response) => {
      clock.pass(9000);
      response.end("hi1");
    });
    const read = await readAll((await open()).segments("main", { signal }));
    expect(read.map(({ text }) => text)).toEqual(["hi0", "hi1", "hi2", "hi3", "hi4", "hi5"]);
  });

  it("continues with another variant when the segments of one are gone", async () => {
    recorded();
    for (const number of [2, 3, 4, 5]) server.serve(`/hi${number}`, 404);
    const read = await readAll((await open()).segments("main", { signal }));
    expect(read.map(({ text }) => text)).toEqual(["hi0", "hi1", "mid2", "mid3", "mid4", "mid5"]);
    expect(read[2]?.segment.discontinuity).toBe(true);
  });

  it("continues with another variant when the live playlist of one is gone", async () => {
    let asked = 0;
    server.serveLive("/hi.m3u8", () => ((asked += 1) === 1 ? list("hi", 0, 3, "") : 404));
    server.serve("/mid.m3u8", list("mid", 1, 6));
    const read = await readAll((await open({ patienceMs: 20_000 })).segments("main", { signal }));
    expect(read.map(({ text }) => text)).toEqual(["hi1", "hi2", "hi3", "mid4", "mid5", "mid6"]);
    expect(read.map(({ segment }) => segment.startMs)).toEqual([4000, 8000, 12_000, 16_000, 20_000, 24_000]);
  });

  it("fails with the first variant's error when every variant is gone", async () => {
    recorded();
    for (const name of ["hi", "mid", "lo"])
      for (const number of [1, 2, 3, 4, 5]) server.serve(`/${name}${number}`, 404);
    await expect(
      open().then((presentation) => readAll(presentation.segments("main", { signal }))),
    ).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
    });
  });

  it("skips variants that are empty, malformed, a web page, encrypted or another master playlist", async () => {
    server.serve("/lo.m3u8", list("lo", 0, 0));
    for (const bad of [
      "#EXTM3U\n#EXT-X-ENDLIST\n",
      "rubbish",
      "<html><body>busy</body></html>",
      list("x", 0, 0).replace("#EXTINF", '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXTINF'),
      "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhi.m3u8\n",
      "",
      403,
      500,
    ]) {
      server.serve("/hi.m3u8", bad).serve("/mid.m3u8", bad);
      expect((await open()).variant?.height).toBe(360);
    }
  });

  it("fails and names the DRM system when the session key belongs to one", async () => {
    server.serve(
      "/m.m3u8",
      '#EXTM3U\n#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES-CTR,URI="data:x",KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlo.m3u8\n',
    );
    await expect(open()).rejects.toMatchObject({ message: expect.stringContaining("Widevine") });
  });

  it("plays the end of a playlist with six variants of two hours in one-second segments", async () => {
    const text = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n${"#EXTINF:1,\nhi0\n".repeat(7200)}#EXT-X-ENDLIST\n`;
    const variants = Array.from({ length: 6 }, (_none, n) => `#EXT-X-STREAM-INF:BANDWIDTH=${n + 1}\nv${n}.m3u8\n`);
    for (let n = 0; n < 6; n += 1) server.serve(`/v${n}.m3u8`, text);
    server.serve("/m.m3u8", `#EXTM3U\n${variants.join("")}`).serve("/hi0", "x");
    const presentation = await open();
    expect(presentation.durationMs).toBe(7_200_000);
    const read = await readAll(presentation.segments("main", { signal, fromMs: 7_190_000 }));
    expect(read.map(({ segment }) => segment.sequence)).toEqual([
      7190, 7191, 7192, 7193, 7194, 7195, 7196, 7197, 7198, 7199,
    ]);
  });

  it("starts audio and video together although one playlist is older", async () => {
    server.serve(
      "/m.m3u8",
      '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="x",DEFAULT=YES,URI="a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="g"\nhi.m3u8\n',
    );
    server.serve("/hi.m3u8", list("hi", 10, 15, "")).serve("/a.m3u8", list("a", 11, 16, ""));
    const presentation = await open();
    const [picture, sound] = [presentation.segments("main", { signal }), presentation.segments("audio", { signal })];
    const [first, beside] = [await picture.next(), await sound.next()];
    if (first.done === true || beside.done === true) throw new Error("Segments were expected.");
    expect([first.value.sequence, beside.value.sequence]).toEqual([13, 13]);
    expect(beside.value.startMs).toBe(first.value.startMs);
    await Promise.all([picture.return(), sound.return()]);
  });
});
