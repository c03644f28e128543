import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseAddressPolicy } from "./address-policy.ts";
import { Egress } from "./egress.ts";

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
    ["http://evil.example/", "evil.example has the address 127.0.0.1, which is loopback"],
    ["http://mixed.example/", "10.0.0.1, which is private"],
    ["file:///etc/passwd", "Only http"],
  ])("of %s is forbidden", async (url, why) => {
    await expect(egress.fetch(url)).rejects.toMatchObject(forbidden(why));
    expect(requests).toEqual([]);
  });

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

  it("gives up after five redirects", async () => {
    answer = (_request, response) => response.writeHead(307, { location: "/again?key=s3cret" }).end();
    await expect(egress.fetch(`http://media.example:${port}/a?key=s3cret`)).rejects.toMatchObject({
      code: "FailedOperation.SourceUnreachable",
      message: `http://media.example:${port}/a?… redirects more than 5 times.`,
    });
    expect(requests).toHaveLength(6);
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
