import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { parseAddressPolicy } from "@roomcast/shared";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Egress } from "./egress.ts";
import { egressError } from "./egress-error.ts";

let server: http.Server;
let port: number;
let answer: http.RequestListener;
let requests: http.IncomingMessage[] = [];
let egress: Egress;
let resolved: string[] = [];

beforeAll(async () => {
  server = http.createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  // SAFETY: a server that listens on TCP has an AddressInfo.
  port = (server.address() as AddressInfo).port;
});

beforeEach(() => {
  requests = [];
  resolved = [];
  egress = new Egress({
    policy: parseAddressPolicy(["media.example", "cdn.example"]),
    lookup: async (hostname) => {
      resolved.push(hostname);
      if (hostname.startsWith("no")) throw Object.assign(new Error("no such host"), { code: "ENOTFOUND" });
      if (hostname.startsWith("mixed"))
        return [
          { address: "93.184.216.34", family: 4 },
          { address: "10.0.0.1", family: 4 },
        ];
      return [{ address: "127.0.0.1", family: 4 }];
    },
    connectTimeoutMs: 2000,
    headersTimeoutMs: 1000,
  });
});

afterEach(() => egress.close());

afterAll(async () => {
  server.closeAllConnections();
  await once(server.close(), "close");
});

const forbidden = (why: string) => ({
  code: "FailedOperation.SourceForbidden",
  message: expect.stringContaining(why),
});

describe("a fetch", () => {
  it("reaches an allowed host at the address that was judged, with its own name", async () => {
    answer = (_request, response) => response.end("hello");
    const response = await egress.fetch(`http://media.example:${port}/a`);
    expect(await text(response.body)).toBe("hello");
    expect(requests[0]?.headers.host).toBe(`media.example:${port}`);
    expect(resolved).toEqual(["media.example"]);
  });

  it.each([
    ["http://127.0.0.1/", "loopback"],
    ["http://2130706433/", "loopback"],
    ["http://0x7f.1/", "loopback"],
    ["http://017700000001/", "loopback"],
    ["http://127.1/", "loopback"],
    ["http://0/", "unspecified"],
    ["http://[::1]/", "loopback"],
    ["http://[::ffff:127.0.0.1]/", "loopback"],
    ["http://169.254.169.254/latest/meta-data", "metadata"],
    ["http://[fd00:ec2::254]/", "metadata"],
    ["http://10.0.0.1/", "ROOMCAST_ALLOW_HOSTS"],
    ["http://evil.example/", "evil.example has an address that is loopback"],
    ["http://mixed.example/", "mixed.example has an address that is private"],
    ["file:///etc/passwd", "Only http"],
  ])("of %s is forbidden", async (url, why) => {
    await expect(egress.fetch(url)).rejects.toMatchObject(forbidden(why));
    expect(requests).toEqual([]);
  });

  it.each(["evil.example", "mixed.example"])("does not tell the caller the addresses of %s", async (host) => {
    const error = await egress.fetch(`http://${host}/`).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain(`The host ${host} has an address that is`);
    expect(String(error)).not.toMatch(/127\.0\.0\.1|10\.0\.0\.1|93\.184/);
  });

  it.each([
    ["the URL", "http://a%zz@evil.example/"],
    ["a redirect", "http://media.example/"],
  ])(
    "refuses a forbidden host with a typed error when a broken escape stands in the user name of %s",
    async (_where, url) => {
      answer = (_request, response) => response.writeHead(302, { location: "http://a%zz@evil.example/" }).end();
      const start = url.replace("media.example", `media.example:${port}`);
      await expect(egress.fetch(start)).rejects.toMatchObject(forbidden("loopback"));
    },
  );

  it("follows redirects, each judged anew", async () => {
    answer = (request, response) => {
      if (request.url === "/a") response.writeHead(302, { location: "/b" }).end();
      else response.end(request.url);
    };
    const response = await egress.fetch(`http://media.example:${port}/a`);
    expect(await text(response.body)).toBe("/b");
    expect(response.url).toBe(`http://media.example:${port}/b`);

    answer = (_request, next) => next.writeHead(302, { location: "http://169.254.169.254/" }).end();
    await expect(egress.fetch(`http://media.example:${port}/a`)).rejects.toMatchObject(forbidden("metadata"));
    answer = (_request, next) => next.writeHead(302, { location: "file:///etc/passwd" }).end();
    await expect(egress.fetch(`http://media.example:${port}/a`)).rejects.toMatchObject(forbidden("redirects"));
  });

  it("gives up after ten redirects", async () => {
    answer = (_request, response) => response.writeHead(307, { location: "/again?key=s3cret" }).end();
    await expect(egress.fetch(`http://media.example:${port}/a?key=s3cret`)).rejects.toMatchObject({
      code: "FailedOperation.SourceUnreachable",
      message: `http://media.example:${port}/a?… redirects more than 10 times.`,
    });
    expect(requests).toHaveLength(11);
  });

  it("sends the URL's user and password as Basic authorization, and to no other origin", async () => {
    answer = (request, response) => {
      if (request.url === "/a") response.writeHead(302, { location: `http://cdn.example:${port}/b` }).end();
      else response.end("ok");
    };
    const response = await egress.fetch(`http://user:p%40ss@media.example:${port}/a`);
    response.body.resume();
    expect(requests.map(({ headers }) => headers.authorization)).toEqual([
      `Basic ${Buffer.from("user:p@ss").toString("base64")}`,
      undefined,
    ]);
  });

  it("keeps the authorization within its origin", async () => {
    answer = (request, response) => {
      if (request.url === "/a") response.writeHead(302, { location: `http://media.example:${port}/b` }).end();
      else response.end("ok");
    };
    const response = await egress.fetch(`http://a%zz:p%40ss@media.example:${port}/a`);
    response.body.resume();
    const basic = `Basic ${Buffer.from("a%zz:p@ss").toString("base64")}`;
    expect(requests.map(({ headers }) => headers.authorization)).toEqual([basic, basic]);
  });

  it("sends path and query as they are written, and escapes only what a request line cannot hold", async () => {
    answer = (_request, response) => response.end();
    const written = "//a/%2E%2E/../b|c/{d}/%zz/e'f+g~h/é \"?x=[1]&y='ü'&sig=a%2fb%2Fc==&";
    (await egress.fetch(`  http://media.example:${port}${written}#part`)).body.resume();
    (await egress.fetch(`HTTP://Media.Example:${port}?`)).body.resume();
    expect(requests.map(({ url }) => url)).toEqual([
      "//a/%2E%2E/../b|c/{d}/%zz/e'f+g~h/%C3%A9%20%22?x=[1]&y='%C3%BC'&sig=a%2fb%2Fc==&",
      "/?",
    ]);
  });

  it.each([
    ["/raw/\u00c3\u00a9 x.mp4?s=%2f", "/raw/%C3%A9%20x.mp4?s=%2f"],
    ["../up/./b", "/up/b"],
    ["c%2E.mp4", "/dir/c%2E.mp4"],
    ["?only=query", "/dir/a?only=query"],
    ["//media.example:PORT/other", "/other"],
  ])("follows a redirect to %j", async (location, path) => {
    answer = (request, response) => {
      const headers = { location: location.replace("PORT", String(port)) };
      if (request.url === "/dir/a") response.writeHead(302, headers).end();
      else response.end("ok");
    };
    const response = await egress.fetch(`http://media.example:${port}/dir/a`);
    expect([response.status, await text(response.body)]).toEqual([200, "ok"]);
    expect(requests[1]?.url).toBe(path);
  });

  it("is repeated once on a connection of its own where the server gave up the one that was kept", async () => {
    const seen = new WeakSet();
    answer = (request, response) => {
      if (seen.has(request.socket)) return request.socket.destroy();
      seen.add(request.socket);
      return response.end("ok");
    };
    for (let count = 0; count < 3; count += 1) {
      expect(await text((await egress.fetch(`http://media.example:${port}/`)).body)).toBe("ok");
    }
    expect(requests.length).toBeGreaterThan(3);
  });

  it.each([
    ["ICY 200 OK\r\nicy-name:x\r\nContent-Type:audio/mpeg\r\n\r\nsound", "audio/mpeg"],
    ["ICY 200 OK\nContent-Type: audio/aacp\n\nsound", "audio/aacp"],
    ["HTTP/1.0 200 OK\r\nServer: Icecast 2.4\r\nContent-Type: audio/ogg\r\n\r\nsound", "audio/ogg"],
  ])("understands the radio server that answers %j", async (answered, type) => {
    const radio = net.createServer((socket) => socket.once("data", () => socket.end(answered)));
    await once(radio.listen(0, "127.0.0.1"), "listening");
    // SAFETY: a server that listens on TCP has an AddressInfo.
    const response = await egress.fetch(`http://media.example:${(radio.address() as AddressInfo).port}/;`);
    expect(response).toMatchObject({ status: 200, headers: { "content-type": type } });
    expect(await text(response.body)).toBe("sound");
    await once(radio.close(), "close");
  });

  it.each([
    ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "SourceUnsupported", "does not answer as an HTTP server does"],
    ["ICY 200 OK\r\nno end of the head", "SourceUnreachable", "closed the connection"],
  ])("fails where the server answers %j", async (answered, code, why) => {
    const other = net.createServer((socket) => socket.once("data", () => socket.end(answered)));
    await once(other.listen(0, "127.0.0.1"), "listening");
    // SAFETY: as above.
    const { port: otherPort } = other.address() as AddressInfo;
    await expect(egress.fetch(`http://media.example:${otherPort}/a?key=s3cret`)).rejects.toMatchObject({
      code: `FailedOperation.${code}`,
      message: expect.stringContaining(why),
    });
    await once(other.close(), "close");
  });

  it("asks its cookies at each step of a redirect", async () => {
    answer = (request, response) => {
      if (request.url === "/a") response.writeHead(302, { location: "/b", "set-cookie": ["x=1", "y=2"] }).end();
      else response.end("ok");
    };
    const stored: string[] = [];
    const cookies = {
      header: () => (stored.length === 0 ? undefined : stored.join("; ")),
      store: (_url: string, setCookies: readonly string[]) => void stored.push(...setCookies),
    };
    (await egress.fetch(`http://media.example:${port}/a`, { cookies })).body.resume();
    expect(requests.map(({ headers }) => headers.cookie)).toEqual([undefined, "x=1; y=2"]);
  });

  it.each([
    ["http://none.example/a?key=s3cret", "SourceUnreachable", "does not exist (DNS)"],
    ["http://media.example:9/a?key=s3cret", "SourceUnreachable", "refused the connection"],
  ])("of %s says what failed and no secret", async (url, code, why) => {
    const error: unknown = await egress.fetch(url).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: `FailedOperation.${code}`, message: expect.stringContaining(why) });
    expect(String(error)).not.toContain("s3cret");
  });

  it("of a server that never answers times out", async () => {
    answer = () => {};
    await expect(egress.fetch(`http://media.example:${port}/`)).rejects.toMatchObject({
      code: "FailedOperation.SourceTimeout",
    });
  });

  it("of https from a plain server fails as TLS", async () => {
    await expect(egress.fetch(`https://media.example:${port}/`)).rejects.toMatchObject({
      code: "FailedOperation.SourceUnreachable",
      message: expect.stringContaining("TLS"),
    });
  });

  it("rejects with the signal's reason", async () => {
    answer = () => {};
    const controller = new AbortController();
    const fetching = egress.fetch(`http://media.example:${port}/`, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(fetching).rejects.toThrow("enough");
  });
});

describe("a certificate that does not hold", () => {
  it.each([
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "an intermediate certificate is missing"],
    ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "an intermediate certificate is missing"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "is self-signed"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "is self-signed"],
    ["CERT_HAS_EXPIRED", "has expired"],
    ["CERT_NOT_YET_VALID", "is not valid yet"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "is for another host name"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "does this port speak https"],
  ])("with %s says what is wrong with it", (code, why) => {
    const error = egressError(Object.assign(new Error("x"), { code }), "media.example");
    expect(error).toMatchObject({
      code: "FailedOperation.SourceUnreachable",
      message: expect.stringMatching(new RegExp(`media\\.example.*${why}`)),
    });
  });
});

describe("a connection", () => {
  it("goes to the address that was judged", async () => {
    const socket = await egress.connect({ host: "media.example", port, tls: false });
    expect(socket).toBeInstanceOf(net.Socket);
    expect(socket.remoteAddress).toBe("127.0.0.1");
    expect(resolved).toEqual(["media.example"]);
    socket.destroy();
  });

  it("is refused for a forbidden host, and says so for one that nobody listens on", async () => {
    await expect(egress.connect({ host: "[::1]", port, tls: false })).rejects.toMatchObject(forbidden("loopback"));
    await expect(egress.connect({ host: "media.example", port: 9, tls: false })).rejects.toMatchObject({
      code: "FailedOperation.SourceUnreachable",
      message: "media.example:9 refused the connection.",
    });
  });

  it("with TLS fails where the server speaks none", async () => {
    await expect(egress.connect({ host: "media.example", port, tls: true })).rejects.toMatchObject({
      code: "FailedOperation.SourceUnreachable",
    });
  });
});
