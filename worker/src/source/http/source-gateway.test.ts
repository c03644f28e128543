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

/** Opens a session whose client gives up soon. */
function openBriefly(url: string): GatewaySession {
  return gateway.open(url, new SourceHttp({ egress, patienceMs: 300 }));
}

/** Reads as ffmpeg does: the environment names the gateway as the proxy. */
async function read(
  { url, environment }: Pick<GatewaySession, "url" | "environment">,
  headers: Record<string, string> = {},
): Promise<Response> {
  const proxy = new URL(environment["http_proxy"] ?? "");
  const authorization = Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64");
  const address = `http://${proxy.host}${new URL(url).pathname}`;
  return await fetch(address, { headers: { ...headers, "proxy-authorization": `Basic ${authorization}` } });
}

describe("SourceGateway", () => {
  it("gives a URL that keeps only the extension of the real one and has no secret", () => {
    const session = gateway.open(`${origin}/secret/film.mp4?sign=s3cret`);
    expect(session.url).toBe("http://source.invalid/0/media.mp4");
    expect(session.environment).toEqual({
      http_proxy: expect.stringMatching(/^http:\/\/source:[\w-]{24}@127\.0\.0\.1:\d+$/),
    });
    session.close();
  });

  it("answers 407 and asks no server when a request lacks the session's secret", async () => {
    let asked = 0;
    answer = (_request, response) => response.end(`x${(asked += 1)}`);
    const session = gateway.open(`${origin}/a`);
    const { host } = new URL(session.environment["http_proxy"] ?? "");
    const basic = (pair: string) => ({ "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` });
    for (const headers of [{}, basic("source:"), basic("source:guess"), basic("nobody"), basic("other:constructor")]) {
      // fetch would treat a 407 as a network failure, so undici's request is used.
      const refused = await httpRequest(`http://${host}/0/media`, { headers });
      expect([refused.statusCode, await refused.body.text()]).toEqual([407, ""]);
    }
    expect(asked).toBe(0);
    session.close();
  });

  it("serves the session's source and no other path until the session is closed", async () => {
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

  it("leaves out a Content-Type with control characters", async () => {
    answer = (_request, response) => {
      response.socket?.end("HTTP/1.1 200 OK\r\nContent-Type: text/\u001b[31mhtml\r\nContent-Length: 1\r\n\r\nx");
    };
    const session = openBriefly(`${origin}/a`);
    const response = await read(session);
    expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([200, null, "x"]);
    session.close();
  });

  it("passes on ranges, status and lengths, but no cookies", async () => {
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

  it("reports a source without a length as unbounded", async () => {
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
    "does not pass on the playlist %j",
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
  ])("reports upstream's status %i as %s until a later request succeeds", async (status, code) => {
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

  it("ends the answer early and records the failure when upstream stays broken", async () => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half of the file", () => response.destroy());
    };
    const session = openBriefly(`${origin}/a`);
    await expect(read(session).then((response) => response.text())).rejects.toThrow("terminated");
    await eventually(() => expect(session.failure).toMatchObject({ code: "FailedOperation.SourceUnreachable" }));
    session.close();
  });

  it("continues the answer when upstream breaks off and cannot be reached for a moment", async () => {
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

  it("reports a source as not seekable when upstream sends it only from its beginning", async () => {
    answer = (_request, response) => response.writeHead(200, { "content-length": 5 }).end("media");
    const session = gateway.open(`${origin}/a`);
    const response = await read(session, { range: "bytes=0-" });
    expect([response.status, response.headers.get("accept-ranges")]).toEqual([200, "none"]);
    expect(await response.text()).toBe("media");
    expect(session.seekable).toBe(false);
    session.close();
  });

  it("answers 416 after the source's end and does not count it as a failure", async () => {
    answer = (_request, response) => response.writeHead(416, { "content-range": "bytes */5" }).end();
    const session = gateway.open(`${origin}/a`);
    expect((await read(session, { range: "bytes=5-" })).status).toBe(416);
    expect(session.failure).toBeUndefined();
    session.close();
  });

  it("ends the answer with a timeout when upstream falls silent", async () => {
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
