import { createExecutionContext, env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { app } from "../src/app.ts";
import { ADMIN, SCHOOL, WATCHER } from "./fixtures.test-support.ts";
import { contentOf, signedRequest } from "./tencent-client.test-support.ts";

// The clock does not advance, so that no further call becomes allowed while the test runs.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
});
afterEach(() => {
  vi.useRealTimers();
});

const limited = { ...env, RATE_LIMIT_PER_SECOND: "2" };

function fetchLimited(request: Request): Promise<Response> {
  return Promise.resolve(app.fetch(request, limited, createExecutionContext()));
}

function get(path: string, as: string): Promise<Response> {
  return fetchLimited(new Request(`http://edge${path}`, { headers: { Authorization: `Bearer ${as}` } }));
}

async function statuses(path: string, as: string, times: number): Promise<number[]> {
  const all: number[] = [];
  for (let n = 0; n < times; n += 1) {
    const response = await get(path, as);
    all.push(response.status);
    await response.text();
  }
  return all;
}

describe("Rate limit", () => {
  it("refuses a caller's frequent calls of one action, but neither their other calls nor other callers", async () => {
    expect(await statuses("/v1/tasks", SCHOOL, 4)).toEqual([200, 200, 429, 429]);
    const refused = await get("/v1/tasks", SCHOOL);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await refused.json()).toMatchObject({ error: { code: "RequestLimitExceeded" } });
    expect((await get("/v1/workers", SCHOOL)).status).toBe(200);
    expect((await get("/v1/tasks", WATCHER)).status).toBe(200);
  });

  it("counts views of different tasks as the same action", async () => {
    const all = [];
    for (let n = 0; n < 3; n += 1) all.push(...(await statuses(`/v1/tasks/${crypto.randomUUID()}`, WATCHER, 1)));
    expect(all).toEqual([404, 404, 429]);
  });

  it("does not count calls with a wrong key", async () => {
    const [secretId] = ADMIN.split(".");
    expect(new Set(await statuses("/v1/tasks", `${secretId}.a-wrong-key`, 5))).toEqual(new Set([401]));
    expect((await get("/v1/tasks", ADMIN)).status).toBe(200);
  });

  it("limits calls of Tencent's API by action", async () => {
    const list = async () => {
      const body = JSON.stringify({ FunctionName: "push" });
      return contentOf(await fetchLimited(await signedRequest("ListAsyncEvents", { body })));
    };
    for (let n = 0; n < 2; n += 1) expect((await list()).Error).toBeUndefined();
    expect(await list()).toMatchObject({ Error: { Code: "RequestLimitExceeded" } });
    const status = await fetchLimited(await signedRequest("GetAsyncEventStatus", { body: '{"InvokeRequestId":"x"}' }));
    expect(await contentOf(status)).toMatchObject({ Error: { Code: "ResourceNotFound.AsyncEvent" } });
  });
});
