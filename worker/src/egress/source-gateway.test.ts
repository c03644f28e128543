import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parseAddressPolicy } from "./address-policy.ts";
import { Egress } from "./egress.ts";
import { SourceGateway } from "./source-gateway.ts";

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

describe("the gateway's URL", () => {
  it("holds nothing of the real one but its extension", () => {
    const session = gateway.open(`${origin}/secret/film.mp4?sign=s3cret`);
    expect(session.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{24}\/0\/media\.mp4$/);
    session.close();
  });

  it("answers nobody who guesses, nor after the session is closed", async () => {
    answer = (_request, response) => response.end("x");
    const session = gateway.open(`${origin}/a`);
    const { url } = session;
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(url.replace("/0/", "/1/"))).status).toBe(404);
    expect((await fetch(url.replace("/0/", "/constructor/"))).status).toBe(404);
    expect((await fetch(new URL("/x/0/media", url))).status).toBe(404);
    session.close();
    expect((await fetch(url)).status).toBe(404);
  });
});

describe("what is read through the gateway", () => {
  it("passes ranges, status and lengths", async () => {
    answer = (request, response) => {
      const headers = { "content-type": "video/mp4; x=1", "content-range": "bytes 2-4/5", "set-cookie": "a=b" };
      response.writeHead(206, headers).end(request.headers.range === "bytes=2-" ? "234" : "wrong");
    };
    const session = gateway.open(`${origin}/a`);
    const response = await fetch(session.url, { headers: { range: "bytes=2-" } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe("bytes 2-4/5");
    expect(response.headers.get("set-cookie")).toBeNull();
    expect(await response.text()).toBe("234");
    expect(session).toMatchObject({ contentType: "video/mp4", receivedBytes: 3, failure: undefined });
    session.close();
  });

  it("has the addresses in a playlist replaced, which then lead to the children", async () => {
    answer = (request, response) => {
      if (request.url !== "/live/list.m3u8?k=s3cret") return response.end(`child ${request.url}`);
      const tag = '#EXT-X-KEY:METHOD=AES-128,URI="../key.bin?k=s3cret",IV=0x1';
      return response.end(["#EXTM3U", tag, "#EXTINF:2,", "one.ts?k=s3cret", `${origin}/two.ts`, ""].join("\r\n"));
    };
    const session = gateway.open(`${origin}/live/list.m3u8?k=s3cret`);
    const lines = (await (await fetch(session.url)).text()).split("\n");
    expect(lines.join("\n")).not.toContain("s3cret");
    const urls = [/URI="([^"]+)"/.exec(lines[1] ?? "")?.[1], lines[3], lines[4]];
    const bodies = await Promise.all(urls.map(async (url) => await (await fetch(url ?? "")).text()));
    expect(bodies).toEqual(["child /key.bin?k=s3cret", "child /live/one.ts?k=s3cret", "child /two.ts"]);
    session.close();
  });

  it("is told to be without a length, or a playlist that is complete, where it is", async () => {
    const session = gateway.open(`${origin}/a`);
    for (const [head, text, unbounded, playlistEnded] of [
      [{ "content-length": "5" }, "media", false, false],
      [{}, "media", true, false],
      [{}, "#EXTM3U\n#EXTINF:1,\na.ts\n", true, false],
      [{}, "#EXTM3U\r\n#EXTINF:1,\r\na.ts\r\n#EXT-X-ENDLIST\r\n", true, true],
    ] as const) {
      answer = (_request, response) => {
        response.writeHead(200, head);
        response.write(text, () => response.end());
      };
      await (await fetch(session.url)).text();
      expect(session).toMatchObject({ unbounded, playlistEnded });
    }
    session.close();
  });

  it("has children that the guard forbids refused, and remembers why", async () => {
    answer = (_request, response) => response.end("#EXTM3U\nhttp://169.254.169.254/latest\n");
    const session = gateway.open(`${origin}/list`);
    const [, child] = (await (await fetch(session.url)).text()).split("\n");
    expect((await fetch(child ?? "")).status).toBe(502);
    expect(session.failure).toMatchObject({ code: "FailedOperation.SourceForbidden" });
    session.close();
  });

  it.each([
    [404, "SourceNotFound"],
    [410, "SourceNotFound"],
    [403, "SourceForbidden"],
    [401, "SourceForbidden"],
    [500, "SourceUnreachable"],
    [429, "SourceUnreachable"],
  ])("with status %i fails as %s, until a later request goes well", async (status, code) => {
    answer = (_request, response) => response.writeHead(status).end("no");
    const session = gateway.open(`${origin}/a?k=s3cret`);
    expect((await fetch(session.url)).status).toBe(status);
    expect(session.failure).toMatchObject({ code: `FailedOperation.${code}` });
    expect(session.failure?.message).not.toContain("s3cret");
    answer = (_request, response) => response.end("yes");
    await (await fetch(session.url)).text();
    await vi.waitFor(() => expect(session.failure).toBeUndefined());
    session.close();
  });

  it("breaks off where upstream does, and remembers it", async () => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half of the file", () => response.destroy());
    };
    const session = gateway.open(`${origin}/a`);
    await expect(fetch(session.url).then((response) => response.text())).rejects.toThrow("terminated");
    await vi.waitFor(() => expect(session.failure).toMatchObject({ code: "FailedOperation.SourceUnreachable" }));
    session.close();
  });

  it("is asked for again where it gave something before and cannot be reached for a moment", async () => {
    answer = (_request, response) => response.end("some");
    const session = gateway.open(`${origin}/a`);
    expect(await (await fetch(session.url)).text()).toBe("some");
    let refusals = 0;
    answer = (request, response) => {
      if (refusals === 2) return response.end("the rest");
      refusals += 1;
      return request.socket.destroy();
    };
    expect(await (await fetch(session.url)).text()).toBe("the rest");
    expect(refusals).toBe(2);
    session.close();
  });

  it("times out where upstream falls silent", async () => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half of the file");
    };
    const session = gateway.open(`${origin}/a`);
    await expect(fetch(session.url).then((response) => response.text())).rejects.toThrow("terminated");
    await vi.waitFor(() => expect(session.failure).toMatchObject({ code: "FailedOperation.SourceTimeout" }));
    session.close();
  });
});
