import { createCipheriv } from "node:crypto";
import { RoomcastError } from "@roomcast/shared";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HttpClient } from "../http/http-client.ts";
import { HlsServer, PlainHttpClient, readAll, SleptClock, silent, textOf } from "./hls-server.test-support.ts";
import { type OpenHlsOptions, openHls } from "./open-hls.ts";

describe("HlsPresentation of a recorded stream", () => {
  let server: HlsServer;
  const signal = new AbortController().signal;

  beforeEach(async () => {
    server = await HlsServer.start();
  });
  afterEach(() => server.close());

  const open = (path: string, options: Partial<OpenHlsOptions> = {}) =>
    openHls({
      url: server.url(path),
      http: new PlainHttpClient(),
      signal,
      logger: silent,
      clock: new SleptClock(),
      ...options,
    });

  const play = async (path: string, fromMs?: number, options: Partial<OpenHlsOptions> = {}) =>
    readAll((await open(path, options)).segments("main", { signal, fromMs }));

  /** Makes a playlist of segments of 4 s, and serves each with its name as the body. */
  const vod = (names: readonly string[], head = "", tail = "#EXT-X-ENDLIST\n") => {
    for (const name of names) server.serve(`/${name}`, name);
    const entries = names.map((name) => `#EXTINF:4,\n${name}\n`).join("");
    return `#EXTM3U\n#EXT-X-TARGETDURATION:4\n${head}${entries}${tail}`;
  };

  it("gives each segment once, in order and on the playlist's clock", async () => {
    server.serve("/a.m3u8", vod(["0.ts", "1.ts", "2.ts"]));
    const presentation = await open("/a.m3u8");
    expect(presentation).toMatchObject({ live: false, durationMs: 12_000, tracks: ["main"] });
    const read = await readAll(presentation.segments("main", { signal }));
    expect(read.map(({ text }) => text)).toEqual(["0.ts", "1.ts", "2.ts"]);
    expect(read.map(({ segment }) => [segment.startMs, segment.durationMs, segment.discontinuity])).toEqual([
      [0, 4000, true],
      [4000, 4000, false],
      [8000, 4000, false],
    ]);
  });

  it("ends after the last segment when the playlist is of type VOD without an end tag", async () => {
    server.serve("/a.m3u8", vod(["0.ts", "1.ts"], "#EXT-X-PLAYLIST-TYPE:VOD\n", ""));
    expect((await open("/a.m3u8")).live).toBe(false);
    expect((await play("/a.m3u8")).map(({ text }) => text)).toEqual(["0.ts", "1.ts"]);
  });

  it("reads only the segments from a given position on", async () => {
    server.serve("/a.m3u8", vod(["0.ts", "1.ts", "2.ts"]));
    const read = await play("/a.m3u8", 9000);
    expect(read.map(({ text, segment }) => [text, segment.startMs])).toEqual([["2.ts", 8000]]);
    expect(server.requests).toEqual(["/a.m3u8", "/2.ts"]);
  });

  it("marks discontinuities that are declared or have another initialisation segment", async () => {
    server.serve("/i0", "init0").serve("/i1", "init1");
    for (const name of ["a", "b", "c", "d"]) server.serve(`/${name}`, name);
    server.serve(
      "/a.m3u8",
      '#EXTM3U\n#EXT-X-MAP:URI="i0"\n#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\nc\n#EXT-X-MAP:URI="i1"\n#EXTINF:4,\nd\n#EXT-X-ENDLIST',
    );
    const read = await play("/a.m3u8");
    expect(read.map(({ segment }) => [segment.init?.toString(), segment.discontinuity])).toEqual([
      ["init0", true],
      ["init0", false],
      ["init0", true],
      ["init1", true],
    ]);
    expect(server.countOf("/i0")).toBe(1);
  });

  it("reads byte ranges of one file, with and without offsets", async () => {
    server.serve("/all.ts", "0123456789");
    server.serve(
      "/a.m3u8",
      "#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:3@2\nall.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:4\nall.ts\n#EXT-X-ENDLIST",
    );
    expect((await play("/a.m3u8")).map(({ text }) => text)).toEqual(["234", "5678"]);
  });

  it("decrypts AES-128 with an explicit vector, with the sequence number and with changing keys", async () => {
    const key = Buffer.alloc(16, 1);
    const other = Buffer.alloc(16, 2);
    const iv = Buffer.from("0123456789abcdef0123456789abcdef", "hex");
    const sequence = Buffer.alloc(16);
    sequence[15] = 8;
    const encrypt = (text: string, withKey: Buffer, vector: Buffer) => {
      const cipher = createCipheriv("aes-128-cbc", withKey, vector);
      return Buffer.concat([cipher.update(text), cipher.final()]);
    };
    server.serve("/k1", key).serve("/k2", other).serve("/c", "clear");
    server.serve("/a", encrypt("first segment, longer than a block", key, iv));
    server.serve("/b", encrypt("second segment!!", other, sequence));
    server.serve(
      "/a.m3u8",
      `#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x${iv.toString("hex")}\n#EXTINF:4,\na\n#EXT-X-KEY:METHOD=AES-128,URI="k2"\n#EXTINF:4,\nb\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\nc\n#EXT-X-ENDLIST`,
    );
    expect((await play("/a.m3u8")).map(({ text }) => text)).toEqual([
      "first segment, longer than a block",
      "second segment!!",
      "clear",
    ]);
  });

  it("leaves out a missing segment and marks a discontinuity", async () => {
    server.serve("/a.m3u8", vod(["0.ts", "1.ts", "2.ts"])).serve("/1.ts", 404);
    const read = await play("/a.m3u8");
    expect(read.map(({ text, segment }) => [text, segment.startMs, segment.discontinuity])).toEqual([
      ["0.ts", 0, true],
      ["2.ts", 8000, true],
    ]);
  });

  it("plays a segment that exists at the second request", async () => {
    let asked = 0;
    server.serve("/a.m3u8", vod(["0.ts", "1.ts"]));
    server.serveLive("/1.ts", () => ((asked += 1) === 1 ? 503 : "late"));
    expect((await play("/a.m3u8")).map(({ text }) => text)).toEqual(["0.ts", "late"]);
  });

  it("leaves out segments that are declared as gaps without requesting them", async () => {
    server.serve("/a.m3u8", vod(["0.ts"], "", "#EXT-X-GAP\n#EXTINF:4,\nnone.ts\n#EXTINF:4,\n2.ts\n#EXT-X-ENDLIST"));
    server.serve("/2.ts", "2.ts");
    const read = await play("/a.m3u8");
    expect(read.map(({ text, segment }) => [text, segment.discontinuity])).toEqual([
      ["0.ts", true],
      ["2.ts", true],
    ]);
    expect(server.countOf("/none.ts")).toBe(0);
  });

  it("fails and names the first segment when several in a row are missing", async () => {
    const names = ["0.ts", "1.ts", "2.ts", "3.ts", "4.ts", "5.ts"];
    server.serve("/a.m3u8", vod(names));
    for (const name of names.slice(1)) server.serve(`/${name}`, 404);
    await expect(play("/a.m3u8")).rejects.toMatchObject({
      code: "FailedOperation.SourceLost",
      message: expect.stringContaining("Segment 1 and the 3 after it"),
    });
  });

  it("fails as not found when all of the first segments are missing", async () => {
    const names = ["0.ts", "1.ts", "2.ts", "3.ts", "4.ts"];
    server.serve("/a.m3u8", vod(names));
    for (const name of names) server.serve(`/${name}`, 404);
    await expect(play("/a.m3u8")).rejects.toMatchObject({
      code: "FailedOperation.SourceNotFound",
      message: expect.stringContaining("Segment 0 and the 3 after it"),
    });
  });

  it("continues at the next byte when a connection breaks", async () => {
    const body = Buffer.from("0123456789".repeat(1000));
    let asked = 0;
    server.serve("/a.m3u8", vod(["0.ts"]));
    server.serve("/0.ts", (request, response) => {
      asked += 1;
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(start === 0 ? 200 : 206, { "content-length": body.length - start });
      if (asked > 1) response.end(body.subarray(start));
      else response.write(body.subarray(0, 4000), () => response.destroy());
    });
    expect((await play("/a.m3u8"))[0]?.text).toBe(body.toString());
    expect(asked).toBe(2);
  });

  it("plays the beginning of a segment that breaks off at the same byte each time", async () => {
    server.serve("/a.m3u8", vod(["0.ts", "1.ts"]));
    server.serve("/0.ts", (request, response) => {
      const isFirst = request.headers.range === undefined;
      response.writeHead(isFirst ? 200 : 206, { "content-length": isFirst ? 1000 : 997 });
      response.write(isFirst ? "abc" : "", () => response.destroy());
    });
    expect((await play("/a.m3u8")).map(({ text }) => text)).toEqual(["abc", "1.ts"]);
  });

  it("waits for a server that is unreachable for a while and continues at the same position", async () => {
    const clock = new SleptClock();
    server.serve("/a.m3u8", vod(["0.ts", "1.ts", "2.ts"]));
    for (const name of ["1.ts", "2.ts"]) server.serveLive(`/${name}`, () => (clock.nowMs() < 20_000 ? 500 : name));
    expect((await play("/a.m3u8", 0, { clock })).map(({ text }) => text)).toEqual(["0.ts", "1.ts", "2.ts"]);
  });

  it("fails when the server is unreachable for longer than the limit", async () => {
    const clock = new SleptClock();
    const gone = play("/a.m3u8", 0, { clock, patienceMs: 10_000 });
    server.serve("/a.m3u8", vod(["0.ts", "1.ts", "2.ts"]));
    for (const name of ["1.ts", "2.ts"]) server.serve(`/${name}`, 500);
    await expect(gone).rejects.toMatchObject({ code: "FailedOperation.SourceLost" });
    expect(clock.nowMs()).toBeLessThan(15_000);
  });

  it("fails with the server's status when it is too busy to send the first segment", async () => {
    const clock = new SleptClock();
    server.serve("/a.m3u8", vod(["0.ts", "1.ts", "2.ts"]));
    for (const name of ["0.ts", "1.ts", "2.ts"]) server.serve(`/${name}`, 503);
    await expect(play("/a.m3u8", 0, { clock })).rejects.toMatchObject({
      code: "FailedOperation.SourceUnreachable",
      message: expect.stringContaining("503"),
    });
    expect(clock.nowMs()).toBeLessThan(20_000);
  });

  it("waits as long as the server asks", async () => {
    const clock = new SleptClock();
    const askedAtMs: number[] = [];
    server.serve("/a.m3u8", vod(["0.ts"]));
    server.serveLive("/0.ts", () => {
      askedAtMs.push(clock.nowMs());
      return askedAtMs.length === 1 ? 503 : "0.ts";
    });
    const http = new PlainHttpClient();
    const busy: HttpClient = {
      read: (url, request) => http.read(url, request),
      open: async (url, request) => {
        try {
          return await http.open(url, request);
        } catch (error) {
          throw Object.assign(RoomcastError.from(error), { retryAfterMs: 8000 });
        }
      },
    };
    await play("/a.m3u8", 0, { clock, http: busy });
    expect(askedAtMs).toEqual([0, 8000]);
  });

  it("fails with the reason when access to the segments has expired", async () => {
    const names = ["0.ts", "1.ts", "2.ts", "3.ts", "4.ts", "5.ts"];
    server.serve("/a.m3u8", vod(names));
    for (const name of names.slice(1)) server.serve(`/${name}`, 403);
    await expect(play("/a.m3u8")).rejects.toMatchObject({ code: "FailedOperation.SourceForbidden" });
  });

  it("fails and mentions the key when it is missing or malformed", async () => {
    server.serve("/a.m3u8", vod(["0.ts"], '#EXT-X-KEY:METHOD=AES-128,URI="key"\n'));
    await expect(play("/a.m3u8")).rejects.toMatchObject({
      message: expect.stringContaining("The key of the encrypted"),
    });
    server.serve("/key", "<html>Please log in</html>");
    await expect(play("/a.m3u8")).rejects.toMatchObject({ message: expect.stringContaining("instead of 16") });
  });

  it("lets the caller read a body after it has taken the next segment", async () => {
    server.serve("/a.m3u8", vod(["0.ts", "1.ts"]));
    const segments = (await open("/a.m3u8")).segments("main", { signal });
    const first = await segments.next();
    const second = await segments.next();
    if (first.done === true || second.done === true) throw new Error("Two segments were expected.");
    expect([await textOf(first.value), await textOf(second.value)]).toEqual(["0.ts", "1.ts"]);
    await segments.return();
  });

  it("fails and names the encryption when it is not AES-128", async () => {
    server.serve(
      "/a.m3u8",
      vod(["0.ts"], '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"\n'),
    );
    await expect(open("/a.m3u8")).rejects.toMatchObject({
      code: "FailedOperation.SourceUnsupported",
      message: expect.stringContaining("SAMPLE-AES (FairPlay)"),
    });
  });

  it("plays the next variant and gives the reason when the best one is missing", async () => {
    server.serve(
      "/m.m3u8",
      "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=1280x720\nmissing.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=640x360\na.m3u8\n",
    );
    server.serve("/a.m3u8", vod(["0.ts"]));
    const presentation = await open("/m.m3u8");
    expect(presentation.variant?.height).toBe(360);
    expect(presentation.reasons.join(" ")).toContain("passed over");
    expect(server.countOf("/missing.m3u8")).toBe(1);
  });

  it("fails with the best variant's error when no variant works", async () => {
    server.serve(
      "/m.m3u8",
      "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=400000\nb.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=900000\na.m3u8\n",
    );
    server.serve("/a.m3u8", 403);
    await expect(open("/m.m3u8")).rejects.toMatchObject({ code: "FailedOperation.SourceForbidden" });
  });

  it("fails after 32 missing variants without requesting more", async () => {
    const variants = Array.from({ length: 40 }, (_none, n) => `#EXT-X-STREAM-INF:BANDWIDTH=${100 - n}\nv${n}.m3u8\n`);
    server.serve("/m.m3u8", `#EXTM3U\n${variants.join("")}`).serve("/v32.m3u8", vod(["0.ts"]));
    await expect(open("/m.m3u8")).rejects.toMatchObject({ code: "FailedOperation.SourceNotFound" });
  });

  it("plays the requested audio rendition or else the default one", async () => {
    server.serve(
      "/m.m3u8",
      '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="x",LANGUAGE="de",URI="de.m3u8"\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="y",LANGUAGE="en",DEFAULT=YES,URI="en.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="g"\nv.m3u8\n',
    );
    server
      .serve("/v.m3u8", vod(["v0.ts"]))
      .serve("/en.m3u8", vod(["en0.ts"]))
      .serve("/de.m3u8", vod(["de0.ts"]));
    const presentation = await open("/m.m3u8");
    expect(presentation.tracks).toEqual(["main", "audio"]);
    expect((await readAll(presentation.segments("audio", { signal }))).map(({ text }) => text)).toEqual(["en0.ts"]);
    const german = await open("/m.m3u8", { audioTrack: "deu" });
    expect((await readAll(german.segments("audio", { signal }))).map(({ text }) => text)).toEqual(["de0.ts"]);
    const french = await open("/m.m3u8", { audioTrack: "fr" });
    expect(french.audioRendition?.language).toBe("en");
    expect(french.reasons.join(" ")).toContain('no sound track "fr"');
  });

  it("rejects with the signal's reason when the signal aborts", async () => {
    server.serve("/a.m3u8", vod(["0.ts", "1.ts"]));
    const abort = new AbortController();
    const segments = (await open("/a.m3u8")).segments("main", { signal: abort.signal });
    await segments.next();
    const reason = new Error("no more");
    abort.abort(reason);
    await expect(segments.next()).rejects.toBe(reason);
  });

  it("rejects with a typed error when the playlist does not exist", async () => {
    await expect(open("/none.m3u8")).rejects.toBeInstanceOf(RoomcastError);
  });
});
