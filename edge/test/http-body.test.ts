import { createExecutionContext, env } from "cloudflare:test";
import { expect, test } from "vitest";
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

test.each<[string, "gzip" | "deflate", string]>([
  ["gzip", "gzip", "gzip"],
  ["gzip by its older name", "gzip", "X-GZIP"],
  ["deflate", "deflate", "deflate"],
])("a body that is compressed by %s is taken", async (_what, format, encoding) => {
  const body = await compressed(await right(), format);
  for (const length of [{}, { "Content-Length": `${body.byteLength}` }]) {
    expect(await post(body, { "Content-Encoding": encoding, ...length })).toMatchObject({ status: 200 });
  }
});

test("a body that says it is not compressed is taken", async () => {
  expect(await post(await right(), { "Content-Encoding": "identity" })).toMatchObject({ status: 200 });
});

test.each(["br", "zstd", "gzip, gzip", "aes128gcm"])(
  "a body in the encoding %s is refused by name",
  async (encoding) => {
    const { status, text } = await post(await right(), { "Content-Encoding": encoding });
    expect(status).toBe(400);
    expect(text).toContain(`Content-Encoding ${encoding} is not known here`);
  },
);

test("a body that is not what its Content-Encoding says is refused", async () => {
  const whole = await compressed(await right(), "gzip");
  for (const body of [await right(), whole.slice(0, -20), new Uint8Array([0x1f, 0x8b])]) {
    const { status, text } = await post(body, { "Content-Encoding": "gzip" });
    expect(status).toBe(400);
    expect(text).toContain("not what its Content-Encoding says (gzip)");
  }
});

test("a small body that becomes a large one is refused for its size", async () => {
  const bomb = await compressed(`{"VideoSrc":"${" ".repeat(8_000_000)}"}`, "gzip");
  const { status, text } = await post(bomb, { "Content-Encoding": "gzip" });
  expect(status).toBe(413);
  expect(text).toContain("RequestSizeLimitExceeded");
});

test("a compressed body that does not say so is told from a text in another encoding", async () => {
  const { status, text } = await post(await compressed(await right(), "gzip"), { "Content-Type": "application/json" });
  expect(status).toBe(400);
  expect(text).toContain("no Content-Encoding says so");
});

test.each<[string, BodyInit, Record<string, string>, string]>([
  ["a form", new URLSearchParams({ VideoSrc: "https://h/v.mp4" }), {}, "application/x-www-form-urlencoded"],
  [
    "a form of parts",
    "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--",
    { "Content-Type": "multipart/form-data; boundary=x" },
    "multipart/form-data",
  ],
  ["XML", "<a/>", { "Content-Type": "Text/XML; charset=utf-8" }, "text/xml"],
])("%s is refused with the name of its Content-Type", async (_what, body, headers, type) => {
  const { status, text } = await post(body, headers);
  expect(status).toBe(400);
  expect(text).toContain(`its Content-Type is ${type}: expected a JSON object, with Content-Type: application/json`);
});

test.each<[string, string]>([
  ["none", ""],
  ["JSON", "application/json"],
  ["text", "text/plain;charset=UTF-8"],
  ["what curl says of any data", "application/x-www-form-urlencoded"],
])("JSON is taken where the Content-Type says: %s", async (_what, type) => {
  const headers: Record<string, string> = type === "" ? {} : { "Content-Type": type };
  expect(await post(await right(), headers)).toMatchObject({ status: 200 });
});

test("broken JSON is not blamed on a Content-Type that is right", async () => {
  const { text } = await post("{", { "Content-Type": "application/json" });
  expect(text).toContain("The body is not JSON: expected a JSON object");
});

test("a byte order mark before the JSON does not matter", async () => {
  const body = new TextEncoder().encode(`\uFEFF${await right()}`);
  for (const length of [{}, { "Content-Length": `${body.byteLength}` }]) {
    expect(await post(body, { ...length })).toMatchObject({ status: 200 });
  }
  const gzip = await compressed(`\uFEFF${await right()}`, "gzip");
  expect(await post(gzip, { "Content-Encoding": "gzip" })).toMatchObject({ status: 200 });
});

test.each([
  ["that never ends", {}],
  ["that is shorter than it says", { "Content-Length": "60000" }],
  ["that is compressed and never ends", { "Content-Encoding": "gzip" }],
])("a body %s is given up by a deadline", async (_what, headers) => {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"VideoSrc":"')),
  });
  const request = new Request("http://edge/", { method: "POST", headers, body });
  await expect(readText(request, 50)).rejects.toMatchObject({
    code: "InvalidParameter",
    message: expect.stringContaining("did not come whole within 0.05 s"),
  });
});
