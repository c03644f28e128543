import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { parseAddressPolicy } from "@roomcast/shared";
import { request as httpRequest } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import { Egress } from "../../egress/egress.ts";
import { type GatewaySession, SourceGateway } from "./source-gateway.ts";
import { SourceHttp } from "./source-http.ts";

let server: http.Server;
let origin: string;
let answer: http.RequestListener;
let egress: Egress;
let gateway: SourceGateway;

beforeAll(async () => {
  server = http.createServer((request, response) => answer(request, response));
  await once(server.listen(0, "127.0.0.1"), "listening");
  // SAFETY: a server that listens on TCP has an AddressInfo.
  origin = `http://media.example:${(server.address() as AddressInfo).port}`;
  egress = new Egress({
    policy: parseAddressPolicy(["media.example"]),
    lookup: async () => [{ address: "127.0.0.1", family: 4 }],
    headersTimeoutMs: 1000,
    bodyTimeoutMs: 1000,
  });
  gateway = await SourceGateway.start(egress);
});

afterAll(async () => {
  await gateway.close();
  await egress.close();
  server.closeAllConnections();
  await once(server.close(), "close");
});

/** A session of a source that is not waited for long. */
function openBriefly(url: string): GatewaySession {
  return gateway.open(url, new SourceHttp({ egress, patienceMs: 300 }));
}

/** Reads as ffmpeg does: the gateway is the proxy that the environment names. */
async function read(
  { url, environment }: Pick<GatewaySession, "url" | "environment">,
  headers: Record<string, string> = {},
): Promise<Response> {
  const proxy = new URL(environment["http_proxy"] ?? "");
  const authorization = Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64");
  const address = `http://${proxy.host}${new URL(url).pathname}`;
  return await fetch(address, { headers: { ...headers, "proxy-authorization": `Basic ${authorization}` } });
}

describe("the gateway's URL", () => {
  it("holds nothing of the real one but its extension, and no secret", () => {
    const session = gateway.open(`${origin}/secret/film.mp4?sign=s3cret`);
    expect(session.url).toBe("http://source.invalid/0/media.mp4");
    expect(session.environment).toEqual({
      http_proxy: expect.stringMatching(/^http:\/\/source:[\w-]{24}@127\.0\.0\.1:\d+$/),
    });
    session.close();
  });

  it("opens nothing without the session's secret", async () => {
    let asked = 0;
    answer = (_request, response) => response.end(`x${(asked += 1)}`);
    const session = gateway.open(`${origin}/a`);
    const { host } = new URL(session.environment["http_proxy"] ?? "");
    const basic = (pair: string) => ({ "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` });
    for (const headers of [{}, basic("source:"), basic("source:guess"), basic("nobody"), basic("other:constructor")]) {
      // Not by fetch, which takes a 407 for a failure of the network.
      const refused = await httpRequest(`http://${host}/0/media`, { headers });
      expect([refused.statusCode, await refused.body.text()]).toEqual([407, ""]);
    }
    expect(asked).toBe(0);
    session.close();
  });

  it("leads to the source alone, until the session is closed", async () => {
    answer = (_request, response) => response.end("x");
    const session = gateway.open(`${origin}/a`);
    const { url, environment } = session;
    expect((await read(session)).status).toBe(200);
    for (const path of ["/1/media", "/constructor/media", "/x/0/media", "/"]) {
      expect((await read({ url: new URL(path, url).href, environment })).status).toBe(404);
    }
    session.close();
    await expect(read(session)).rejects.toThrow("fetch failed");
  });
});

describe("what is read through the gateway", () => {
  it("passes ranges, status and lengths", async () => {
    answer = (request, response) => {
      const headers = { "content-type": "video/mp4; x=1", "content-range": "bytes 2-4/5", "set-cookie": "a=b" };
      response.writeHead(206, headers).end(request.headers.range === "bytes=2-" ? "234" : "wrong");
    };
    const session = gateway.open(`${origin}/a`);
    const response = await read(session, { range: "bytes=2-" });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe("bytes 2-4/5");
    expect(response.headers.get("set-cookie")).toBeNull();
    expect(await response.text()).toBe("234");
    expect(session).toMatchObject({ contentType: "video/mp4", receivedBytes: 3, failure: undefined });
    session.close();
  });

  it("is told to be without a length where it is", async () => {
    const session = gateway.open(`${origin}/a`);
    for (const unbounded of [false, true]) {
      answer = (_request, response) => {
        response.writeHead(200, unbounded ? {} : { "content-length": "5" });
        response.write("media", () => response.end());
      };
      await (await read(session)).text();
      expect(session.unbounded).toBe(unbounded);
    }
    session.close();
  });

  it.each(["#EXTM3U\n#EXTINF:1,\na.ts\n", "\ufeff#EXTM3U\r\n", "\n  #EXTM3U"])(
    "is not handed on where it is a playlist: %j",
    async (playlist) => {
      answer = (_request, response) => response.end(playlist);
      const session = gateway.open(`${origin}/a`);
      const response = await read(session);
      expect([response.status, await response.text()]).toEqual([415, ""]);
      expect(session).toMatchObject({ isPlaylist: true, failure: { code: "FailedOperation.SourceUnsupported" } });
      session.close();
    },
  );

  it.each([
    [404, "SourceNotFound"],
    [410, "SourceNotFound"],
    [403, "SourceForbidden"],
    [401, "SourceForbidden"],
    [500, "SourceUnreachable"],
    [429, "SourceUnreachable"],
  ])("with status %i fails as %s, until a later request goes well", async (status, code) => {
    answer = (_request, response) => response.writeHead(status).end("no");
    const session = openBriefly(`${origin}/a?k=s3cret`);
    expect((await read(session)).status).toBe(status);
    expect(session.failure).toMatchObject({ code: `FailedOperation.${code}` });
    expect(session.failure?.message).not.toContain("s3cret");
    answer = (_request, response) => response.end("yes");
    await (await read(session)).text();
    await eventually(() => expect(session.failure).toBeUndefined());
    session.close();
  });

  it("breaks off where upstream does, and remembers it", async () => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half of the file", () => response.destroy());
    };
    const session = openBriefly(`${origin}/a`);
    await expect(read(session).then((response) => response.text())).rejects.toThrow("terminated");
    await eventually(() => expect(session.failure).toMatchObject({ code: "FailedOperation.SourceUnreachable" }));
    session.close();
  });

  it("goes on by itself where upstream breaks off and cannot be reached for a moment", async () => {
    let asked = 0;
    answer = (request, response) => {
      asked += 1;
      if (asked === 2) return request.socket.destroy();
      const half = asked === 1 ? 0 : 5;
      response.writeHead(206, { "content-range": `bytes ${half}-9/10`, "content-length": 10 - half });
      if (asked === 1) return response.write("first", () => response.destroy());
      return response.end("later");
    };
    const session = gateway.open(`${origin}/a`);
    const response = await read(session);
    expect(await response.text()).toBe("firstlater");
    expect(session).toMatchObject({ seekable: true, failure: undefined });
    session.close();
  });

  it("cannot be sought in where upstream sends it only from its beginning", async () => {
    answer = (_request, response) => response.writeHead(200, { "content-length": 5 }).end("media");
    const session = gateway.open(`${origin}/a`);
    const response = await read(session, { range: "bytes=0-" });
    expect([response.status, response.headers.get("accept-ranges")]).toEqual([200, "none"]);
    expect(await response.text()).toBe("media");
    expect(session.seekable).toBe(false);
    session.close();
  });

  it("ends with 416 behind its end, which is no failure", async () => {
    answer = (_request, response) => response.writeHead(416, { "content-range": "bytes */5" }).end();
    const session = gateway.open(`${origin}/a`);
    expect((await read(session, { range: "bytes=5-" })).status).toBe(416);
    expect(session.failure).toBeUndefined();
    session.close();
  });

  it("times out where upstream falls silent", async () => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half of the file");
    };
    const session = openBriefly(`${origin}/a`);
    await expect(read(session).then((response) => response.text())).rejects.toThrow("terminated");
    await eventually(() => expect(session.failure).toMatchObject({ code: "FailedOperation.SourceTimeout" }));
    session.close();
  });
});
