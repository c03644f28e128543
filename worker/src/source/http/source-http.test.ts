import type { Socket } from "node:net";
import zlib from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import { withPatience } from "./http-client.ts";
import {
  bytesOf,
  digest,
  FILE,
  FILE_BYTES,
  MisbehavingServer,
  NEVER,
  namedRange,
  sendPart,
} from "./misbehaving-server.test-support.ts";
import { USER_AGENT } from "./resource.ts";

let server: MisbehavingServer;

beforeEach(async () => {
  server = await MisbehavingServer.start();
});
afterEach(() => server.stop());

const WHOLE = { signal: NEVER, range: { start: 0 } };

async function readAll(
  path = "/film.mp4",
  request: { signal: AbortSignal; range?: { start: number; end?: number } } = WHOLE,
) {
  return await bytesOf((await server.client().open(`${server.origin}${path}`, request)).body);
}

describe("SourceHttp", () => {
  describe("when it sends a request", () => {
    it("names itself, a range and the identity encoding", async () => {
      server.answer = (_request, response) => response.end("x");
      await readAll();
      expect(USER_AGENT).toMatch(/^Roomcast\/\d+\.\d+\.\d+$/);
      expect(server.requests[0]?.headers).toMatchObject({
        "user-agent": USER_AGENT,
        accept: "*/*",
        "accept-encoding": "identity",
        range: "bytes=0-",
      });
    });

    it("sends the cookies that the source set, also in a redirect, and to no other host", async () => {
      const cookies: (string | undefined)[] = [];
      server.answer = (request, response) => {
        cookies.push(request.headers.cookie);
        if (request.url === "/login") response.writeHead(302, { location: "/master", "set-cookie": "a=1" }).end();
        else if (request.url === "/master")
          response.setHeader("set-cookie", ["b=2; Path=/video", "c=3; Max-Age=0"]).end();
        else response.end();
      };
      const client = server.client();
      for (const url of ["/login", "/video/1.ts", "/audio/1.aac"]) {
        await client.read(`${server.origin}${url}`, { signal: NEVER, maxBytes: 10 });
      }
      await client.read(`http://cdn.example:${server.port}/2.ts`, { signal: NEVER, maxBytes: 10 });
      await server.client().read(`${server.origin}/video/1.ts`, { signal: NEVER, maxBytes: 10 });
      expect(cookies).toEqual([undefined, "a=1", "b=2; a=1", "a=1", undefined, undefined]);
    });

    it("asks the original address again after a redirect, because the target may expire", async () => {
      server.answer = (request, response) => {
        if (request.url === "/film.mp4") {
          response.writeHead(302, { location: `/signed?n=${server.requests.length}` }).end();
          return;
        }
        const range = namedRange(request) ?? { from: 0, to: 0 };
        if (server.requests.length > 2) return sendPart(response, range);
        response.writeHead(206, {
          "content-range": `bytes 0-${FILE_BYTES - 1}/${FILE_BYTES}`,
          "content-length": FILE_BYTES,
        });
        response.write(FILE.subarray(0, 1000), () => response.destroy());
      };
      expect(digest(await readAll())).toBe(digest(FILE));
      expect(server.paths).toEqual(["/film.mp4", "/signed?n=1", "/film.mp4", "/signed?n=3"]);
    });
  });

  describe("when it reads a part of a file", () => {
    const PART = { signal: NEVER, range: { start: 5000, end: 69_999 } };
    const expected = FILE.subarray(5000, 70_000);

    it.each<[string, (request: Parameters<typeof namedRange>[0], response: Parameters<typeof sendPart>[0]) => void]>([
      [
        "begins earlier than asked",
        (request, response) => {
          const { from, to } = namedRange(request) ?? { from: 0, to: 0 };
          sendPart(response, { from: from - (from % 4096), to });
        },
      ],
      [
        "ends earlier than asked",
        (request, response) => {
          const { from, to } = namedRange(request) ?? { from: 0, to: 0 };
          sendPart(response, { from, to: Math.min(to, from + 10_000) });
        },
      ],
      [
        "ends later than asked",
        (request, response) => {
          sendPart(response, { from: namedRange(request)?.from ?? 0, to: FILE_BYTES });
        },
      ],
      [
        "names its unit differently",
        (request, response) => {
          const { from, to } = namedRange(request) ?? { from: 0, to: 0 };
          sendPart(response, { from, to }, { "content-range": `Bytes=${from}-${to - 1}/${FILE_BYTES}` });
        },
      ],
      [
        "does not say the file's size",
        (request, response) => {
          const { from, to } = namedRange(request) ?? { from: 0, to: 0 };
          sendPart(response, { from, to }, { "content-range": `bytes ${from}-${to - 1}/*` });
        },
      ],
      [
        "has no Content-Range",
        (request, response) => {
          const { from, to } = namedRange(request) ?? { from: 0, to: 0 };
          response.writeHead(206, { "content-length": to - from }).end(FILE.subarray(from, to));
        },
      ],
      [
        "is the whole file",
        (_request, response) => {
          response.writeHead(200, { "content-length": FILE_BYTES }).end(FILE);
        },
      ],
      [
        "is the whole file without a length",
        (_request, response) => {
          response.writeHead(200);
          response.write(FILE, () => response.end());
        },
      ],
      [
        "comes only without a range",
        (request, response) => {
          if (request.headers.range === undefined) response.end(FILE);
          else response.writeHead(406).end("no ranges");
        },
      ],
      [
        "comes in a multipart answer",
        (request, response) => {
          const { from, to } = namedRange(request) ?? { from: 0, to: 0 };
          response.writeHead(206, { "content-type": "multipart/byteranges; boundary=x" });
          response.write(
            `--x\r\nContent-Type: video/mp4\r\nContent-Range: bytes ${from}-${to - 1}/${FILE_BYTES}\r\n\r\n`,
          );
          response.write(FILE.subarray(from, to));
          response.end("\r\n--x--\r\n");
        },
      ],
    ])("gives exactly the requested bytes when the answer %s", async (_name, answer) => {
      server.answer = answer;
      expect(digest(await readAll("/film.mp4", PART))).toBe(digest(expected));
    });

    it("reads to the file's end when every answer is short and the size is unknown", async () => {
      server.answer = (request, response) => {
        const { from = 0 } = namedRange(request) ?? {};
        if (from >= FILE_BYTES) return response.writeHead(416).end();
        const to = Math.min(FILE_BYTES, from + 70_000);
        return sendPart(response, { from, to }, { "content-range": `bytes ${from}-${to - 1}/*` });
      };
      expect(digest(await readAll())).toBe(digest(FILE));
    });

    it("gives an empty body at the end of the file", async () => {
      server.answer = (_request, response) =>
        response.writeHead(416, { "content-range": `bytes */${FILE_BYTES}` }).end();
      const answer = await server.client().open(`${server.origin}/a`, { signal: NEVER, range: { start: FILE_BYTES } });
      expect(answer.totalBytes).toBe(FILE_BYTES);
      expect(await bytesOf(answer.body)).toHaveLength(0);
    });

    it("refuses a part far inside with advice when the server sends files only from the beginning", async () => {
      server.answer = (_request, response) => {
        response.writeHead(200, { "content-length": 20_000_000 });
        response.write(FILE);
      };
      await expect(
        server.client().open(`${server.origin}/a?key=s3cret`, { signal: NEVER, range: { start: 10_000_000 } }),
      ).rejects.toMatchObject({
        code: "FailedOperation.SourceUnsupported",
        message: expect.stringMatching(/^(?!.*s3cret).*no HTTP ranges.*faststart/),
      });
    });

    it.each([
      ["a part with Content-Range", 206, { "content-range": `bytes 0-${FILE_BYTES - 1}/${FILE_BYTES}` }, true],
      ["the whole file with Accept-Ranges: bytes", 200, { "accept-ranges": "bytes" }, true],
      ["the whole file with Accept-Ranges: none", 200, { "accept-ranges": "none" }, false],
      ["the whole file without Accept-Ranges", 200, {}, false],
    ])("knows whether the source is seekable when the answer is %s", async (_name, status, headers, seekable) => {
      server.answer = (_request, response) => response.writeHead(status, headers).end(FILE);
      const answer = await server.client().open(`${server.origin}/a`, WHOLE);
      expect(answer.seekable).toBe(seekable);
      expect(digest(await bytesOf(answer.body))).toBe(digest(FILE));
    });
  });

  describe("when the answer is compressed", () => {
    const CODINGS: [string, Buffer][] = [
      ["gzip", zlib.gzipSync(FILE)],
      ["x-gzip", zlib.gzipSync(FILE)],
      ["deflate", zlib.deflateSync(FILE)],
      ["deflate", zlib.deflateRawSync(FILE)],
      ["br", zlib.brotliCompressSync(FILE)],
      ["zstd", zlib.zstdCompressSync(FILE)],
      ["gzip, br", zlib.brotliCompressSync(zlib.gzipSync(FILE))],
    ];

    it.each(CODINGS)("undoes the coding %s", async (coding, body) => {
      server.answer = (_request, response) => {
        response.writeHead(200, { "content-encoding": coding, "content-length": body.length }).end(body);
      };
      const answer = await server.client().open(`${server.origin}/a`, WHOLE);
      expect(answer).toMatchObject({ totalBytes: null, seekable: false });
      expect(digest(await bytesOf(answer.body))).toBe(digest(FILE));
    });

    it.each(["gzip", "deflate", "br", "zstd", "aws-chunked", "utf-8", "gzip, aws-chunked"])(
      "passes the bytes on unchanged when the header wrongly names the coding %s",
      async (coding) => {
        const media = Buffer.concat([Buffer.from("\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41"), FILE]);
        server.answer = (request, response) => {
          const { from = 0 } = namedRange(request) ?? {};
          const range = `bytes ${from}-${media.length - 1}/${media.length}`;
          response.writeHead(206, { "content-encoding": coding, "content-range": range }).end(media.subarray(from));
        };
        const client = server.client();
        for (const start of [1000, 0, 5]) {
          const answer = await client.open(`${server.origin}/a`, { signal: NEVER, range: { start } });
          expect(answer).toMatchObject({ totalBytes: media.length, seekable: true });
          expect(digest(await bytesOf(answer.body))).toBe(digest(media.subarray(start)));
        }
      },
    );

    it("reads a part from the file's beginning on, because ranges count compressed bytes", async () => {
      const body = zlib.gzipSync(FILE);
      server.answer = (request, response) => {
        const headers = { "content-encoding": "gzip" };
        const { from, to } = namedRange(request, body.length) ?? { from: -1, to: 0 };
        if (from < 0) response.writeHead(200, headers).end(body);
        else
          response
            .writeHead(206, { ...headers, "content-range": `bytes ${from}-${to - 1}/${body.length}` })
            .end(body.subarray(from, to));
      };
      expect(await readAll("/a", { signal: NEVER, range: { start: 1000, end: 1999 } })).toEqual(
        FILE.subarray(1000, 2000),
      );
    });

    it("continues where it broke off by reading again from the beginning", async () => {
      const body = zlib.gzipSync(FILE, { level: 0 });
      server.answer = (_request, response) => {
        response.writeHead(200, { "content-encoding": "gzip", "content-length": body.length });
        if (server.requests.length > 1) response.end(body);
        else response.write(body.subarray(0, 200_000), () => response.destroy());
      };
      expect(digest(await readAll())).toBe(digest(FILE));
      expect(server.requests.length).toBe(2);
    });

    it("refuses a document that would fill the memory when decompressed", async () => {
      const bomb = zlib.gzipSync(Buffer.alloc(50_000_000));
      server.answer = (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
      await expect(
        server.client().read(`${server.origin}/list.m3u8`, { signal: NEVER, maxBytes: 1_000_000 }),
      ).rejects.toMatchObject({ code: "FailedOperation.SourceUnsupported" });
    });
  });

  describe("when a transfer breaks off", () => {
    it("continues at the next byte even if each node of a CDN sends another ETag", async () => {
      server.answer = (request, response) => {
        const { from, to } = namedRange(request) ?? { from: 0, to: 0 };
        const etag = `"node-${server.requests.length}"`;
        const headers = { etag, "content-range": `bytes ${from}-${to - 1}/${FILE_BYTES}`, "content-length": to - from };
        response.writeHead(206, headers);
        if (to - from < 50_000) response.end(FILE.subarray(from));
        else response.write(FILE.subarray(from, from + 50_000), () => response.destroy());
      };
      expect(digest(await readAll())).toBe(digest(FILE));
      expect(server.requests.length).toBeGreaterThan(5);
    });

    it("fails and names both sizes when the file's size has changed", async () => {
      server.answer = (request, response) => {
        const { from = 0 } = namedRange(request) ?? {};
        const total = FILE_BYTES + server.requests.length;
        response.writeHead(206, {
          "content-range": `bytes ${from}-${total - 1}/${total}`,
          "content-length": total - from,
        });
        response.write(FILE.subarray(from, from + 1000), () => response.destroy());
      };
      await expect(readAll()).rejects.toMatchObject({
        code: "FailedOperation.SourceLost",
        message: expect.stringContaining(`it had ${FILE_BYTES + 1} bytes and has ${FILE_BYTES + 2} now`),
      });
    });

    it("does not join two answers of a stream without a length", async () => {
      server.answer = (_request, response) => {
        response.writeHead(200, { "content-type": "audio/mpeg" });
        response.write(FILE.subarray(0, 1000), () => response.destroy());
      };
      await expect(readAll()).rejects.toMatchObject({ code: "FailedOperation.SourceUnreachable" });
      expect(server.requests).toHaveLength(1);
    });

    it("reads a document again from its beginning", async () => {
      server.answer = (_request, response) => {
        const text = server.requests.length === 1 ? "#EXTM3U old" : "#EXTM3U new";
        response.writeHead(200, { "content-length": text.length });
        if (server.requests.length > 1) response.end(text);
        else response.write(text.slice(0, 10), () => response.destroy());
      };
      const { body } = await server.client().read(`${server.origin}/a`, { signal: NEVER, maxBytes: 100 });
      expect(body.toString()).toBe("#EXTM3U new");
      expect(server.ranges).toEqual([undefined, undefined]);
    });

    it("fails with a timeout when the server sends only a byte now and then", async () => {
      server.answer = (_request, response) => {
        response.writeHead(200, { "content-length": 1000 });
        response.write("x");
        const timer = setInterval(() => response.write("x"), 20);
        response.once("close", () => clearInterval(timer));
      };
      const floor = { bytesPerSecond: 1024, windowMs: 200 };
      const client = server.client({ floor, patienceMs: 500 });
      const { body } = await client.open(`${server.origin}/a`, WHOLE);
      await expect(bytesOf(body)).rejects.toMatchObject({
        code: "FailedOperation.SourceTimeout",
        message: expect.stringContaining("almost no data"),
      });
      expect(server.requests.length).toBeGreaterThan(1);
    });

    it("ends the connection when the reader returns, before or after the first read", async () => {
      const sockets = new Set<Socket>();
      server.answer = (request, response) => {
        sockets.add(request.socket);
        request.socket.once("close", () => sockets.delete(request.socket));
        response.writeHead(200, { "content-length": 1e9 });
        response.write(FILE);
      };
      const client = server.client();
      const [unread, halfRead] = [
        await client.open(`${server.origin}/a`, WHOLE),
        await client.open(`${server.origin}/b`, WHOLE),
      ];
      expect(sockets.size).toBe(2);
      await unread.body[Symbol.asyncIterator]().return?.();
      const chunks = halfRead.body[Symbol.asyncIterator]();
      let taken = 0;
      while (taken < FILE_BYTES) taken += (await chunks.next()).value.length;
      const waiting = chunks.next();
      await chunks.return?.();
      await expect(waiting).rejects.toThrow("aborted");
      await eventually(() => expect(sockets.size).toBe(0));
    });

    it("rejects with the signal's reason when the signal aborts", async () => {
      server.answer = (_request, response) => {
        response.writeHead(200, { "content-length": 1e9 });
        response.write("x");
      };
      const controller = new AbortController();
      const { body } = await server.client().open(`${server.origin}/a`, { ...WHOLE, signal: controller.signal });
      const reading = bytesOf(body);
      controller.abort(new Error("enough"));
      await expect(reading).rejects.toThrow("enough");
    });
  });

  describe("when the server refuses", () => {
    it.each([429, 503])(
      "waits as long as the server asks after status %i, even for the first request",
      async (status) => {
        server.answer = (_request, response) => {
          if (server.requests.length === 1) response.writeHead(status, { "retry-after": "1" }).end();
          else response.end("x");
        };
        expect((await readAll()).toString()).toBe("x");
        expect(server.requests).toHaveLength(2);
      },
    );

    it("waits as long as the server asks even if other failures would be retried for a shorter time", async () => {
      server.answer = (_request, response) => {
        if (server.requests.length === 1) response.writeHead(429, { "retry-after": "1" }).end();
        else response.end("late");
      };
      const client = server.client({ patienceMs: 100, askedPatienceMs: 5000 });
      const { body } = await client.read(`${server.origin}/a.m3u8`, { signal: NEVER, maxBytes: 100 });
      expect(body.toString()).toBe("late");
    });

    it("does not wait when the caller tries again by itself", async () => {
      server.answer = (_request, response) => response.writeHead(429, { "retry-after": "2" }).end();
      const client = withPatience(server.client(), 100);
      const reading = client.read(`${server.origin}/a.m3u8`, { signal: NEVER, maxBytes: 100 });
      await expect(reading).rejects.toMatchObject({ retryAfterMs: 2000 });
      expect(server.requests).toHaveLength(1);
    });

    it("fails at once when the server asks for a longer wait than is allowed", async () => {
      server.answer = (_request, response) => response.writeHead(429, { "retry-after": "600" }).end();
      await expect(readAll()).rejects.toMatchObject({
        code: "FailedOperation.SourceUnreachable",
        message: expect.stringContaining("600 s (Retry-After)"),
      });
      expect(server.requests).toHaveLength(1);
    });

    it.each([
      [404, "SourceNotFound"],
      [410, "SourceNotFound"],
      [403, "SourceForbidden"],
      [401, "SourceForbidden"],
      [500, "SourceUnreachable"],
      [502, "SourceUnreachable"],
      [504, "SourceTimeout"],
    ])("fails at once when the first answer has status %i, as %s and without the URL's query", async (status, code) => {
      server.answer = (_request, response) => response.writeHead(status).end("no");
      const error: unknown = await readAll("/film.mp4?sign=s3cret").catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: `FailedOperation.${code}`, status });
      expect(String(error)).not.toContain("s3cret");
      expect(server.requests).toHaveLength(1);
    });

    it("asks again after a server error or a reset when the source could be read before", async () => {
      const client = server.client();
      server.answer = (_request, response) => response.end("x");
      await client.read(`${server.origin}/1.ts`, { signal: NEVER, maxBytes: 10 });
      server.answer = (request, response) => {
        if (server.requests.length === 2) response.writeHead(502).end();
        else if (server.requests.length === 3) request.socket.destroy();
        else response.end("y");
      };
      const { body } = await client.read(`${server.origin}/2.ts`, { signal: NEVER, maxBytes: 10 });
      expect(body.toString()).toBe("y");
    });

    it("reports expired access when a file that could be read before is answered with 403", async () => {
      server.answer = (_request, response) => {
        if (server.requests.length > 1) return response.writeHead(403).end();
        response.writeHead(200, { "content-length": FILE_BYTES, "accept-ranges": "bytes" });
        return response.write(FILE.subarray(0, 1000), () => response.destroy());
      };
      await expect(readAll()).rejects.toMatchObject({
        code: "FailedOperation.SourceForbidden",
        message: expect.stringContaining("has expired"),
      });
    });

    it("fails at once when the first connection is refused", async () => {
      const { origin } = server;
      const client = server.client();
      await server.stop();
      await expect(client.open(`${origin}/a`, WHOLE)).rejects.toMatchObject({
        code: "FailedOperation.SourceUnreachable",
      });
      server = await MisbehavingServer.start();
    });
  });
});
