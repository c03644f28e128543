import { createExecutionContext, env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { app } from "../src/app.ts";
import { readText } from "../src/http/read-json.ts";
import { pushBody, SCHOOL } from "./fixtures.test-support.ts";

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function post(body: BodyInit | null, headers: Record<string, string>): Promise<Answer> {
  const request = new Request("http://edge/", {
    method: "POST",
    headers: { Authorization: `Bearer ${SCHOOL}`, ...headers },
    body,
  });
  const response = await app.fetch(request, env, createExecutionContext());
  return { status: response.status, text: await response.text() };
}

async function compressed(text: string, format: "gzip" | "deflate"): Promise<Uint8Array> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const right = async () => JSON.stringify(await pushBody());

describe("HTTP body", () => {
  it.each<[string, "gzip" | "deflate", string]>([
    ["gzip", "gzip", "gzip"],
    ["gzip by its older name", "gzip", "X-GZIP"],
    ["deflate", "deflate", "deflate"],
  ])("is accepted when it is compressed with %s", async (_what, format, encoding) => {
    const body = await compressed(await right(), format);
    for (const length of [{}, { "Content-Length": `${body.byteLength}` }]) {
      expect(await post(body, { "Content-Encoding": encoding, ...length })).toMatchObject({ status: 200 });
    }
  });

  it("is accepted when its Content-Encoding is identity", async () => {
    expect(await post(await right(), { "Content-Encoding": "identity" })).toMatchObject({ status: 200 });
  });

  it.each(["br", "zstd", "gzip, gzip", "aes128gcm"])(
    "is refused with the name of its encoding when that is %s",
    async (encoding) => {
      const { status, text } = await post(await right(), { "Content-Encoding": encoding });
      expect(status).toBe(400);
      expect(text).toContain(`Content-Encoding ${encoding} is not known here`);
    },
  );

  it("is refused when it does not match its Content-Encoding", async () => {
    const whole = await compressed(await right(), "gzip");
    for (const body of [await right(), whole.slice(0, -20), new Uint8Array([0x1f, 0x8b])]) {
      const { status, text } = await post(body, { "Content-Encoding": "gzip" });
      expect(status).toBe(400);
      expect(text).toContain("not what its Content-Encoding says (gzip)");
    }
  });

  it("is refused for its size when a small compressed body expands to a large one", async () => {
    const bomb = await compressed(`{"VideoSrc":"${" ".repeat(8_000_000)}"}`, "gzip");
    const { status, text } = await post(bomb, { "Content-Encoding": "gzip" });
    expect(status).toBe(413);
    expect(text).toContain("RequestSizeLimitExceeded");
  });

  it("is refused with a hint at Content-Encoding when it is compressed without that header", async () => {
    const { status, text } = await post(await compressed(await right(), "gzip"), {
      "Content-Type": "application/json",
    });
    expect(status).toBe(400);
    expect(text).toContain("no Content-Encoding says so");
  });

  it.each<[string, BodyInit, Record<string, string>, string]>([
    ["a form", new URLSearchParams({ VideoSrc: "https://h/v.mp4" }), {}, "application/x-www-form-urlencoded"],
    [
      "a multipart form",
      "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--",
      { "Content-Type": "multipart/form-data; boundary=x" },
      "multipart/form-data",
    ],
    ["XML", "<a/>", { "Content-Type": "Text/XML; charset=utf-8" }, "text/xml"],
  ])("is refused with the name of its Content-Type when it is %s", async (_what, body, headers, type) => {
    const { status, text } = await post(body, headers);
    expect(status).toBe(400);
    expect(text).toContain(`its Content-Type is ${type}: expected a JSON object, with Content-Type: application/json`);
  });

  it.each<[string, string]>([
    ["missing", ""],
    ["JSON", "application/json"],
    ["text", "text/plain;charset=UTF-8"],
    ["curl's default", "application/x-www-form-urlencoded"],
  ])("is accepted as JSON when its Content-Type is %s", async (_what, type) => {
    const headers: Record<string, string> = type === "" ? {} : { "Content-Type": type };
    expect(await post(await right(), headers)).toMatchObject({ status: 200 });
  });

  it("is refused as broken JSON without mention of a correct Content-Type", async () => {
    const { text } = await post("{", { "Content-Type": "application/json" });
    expect(text).toContain("The body is not JSON: expected a JSON object");
  });

  it("is accepted with a byte order mark before the JSON", async () => {
    const body = new TextEncoder().encode(`\uFEFF${await right()}`);
    for (const length of [{}, { "Content-Length": `${body.byteLength}` }]) {
      expect(await post(body, { ...length })).toMatchObject({ status: 200 });
    }
    const gzip = await compressed(`\uFEFF${await right()}`, "gzip");
    expect(await post(gzip, { "Content-Encoding": "gzip" })).toMatchObject({ status: 200 });
  });

  it.each([
    ["never ends", {}],
    ["is shorter than its Content-Length", { "Content-Length": "60000" }],
    ["is compressed and never ends", { "Content-Encoding": "gzip" }],
  ])("is refused after a deadline when it %s", async (_what, headers) => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"VideoSrc":"')),
    });
    const request = new Request("http://edge/", { method: "POST", headers, body });
    await expect(readText(request, 50)).rejects.toMatchObject({
      code: "InvalidParameter",
      message: expect.stringContaining("did not come whole within 0.05 s"),
    });
  });
});
