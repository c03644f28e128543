import { createExecutionContext, env } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { app } from "../src/app.ts";
import { ADMIN, SCHOOL, WATCHER } from "./fixtures.test-support.ts";
import { contentOf, signedRequest } from "./tencent-client.test-support.ts";

// The clock stands still, so that no call becomes free while the test runs.
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

test("who makes one call too often is told to wait; his other calls and others' calls go on", async () => {
  expect(await statuses("/v1/tasks", SCHOOL, 4)).toEqual([200, 200, 429, 429]);
  const refused = await get("/v1/tasks", SCHOOL);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
  expect(await refused.json()).toMatchObject({ error: { code: "RequestLimitExceeded" } });
  expect((await get("/v1/workers", SCHOOL)).status).toBe(200);
  expect((await get("/v1/tasks", WATCHER)).status).toBe(200);
});

test("looking at many tasks is one call, made many times", async () => {
  const all = [];
  for (let n = 0; n < 3; n += 1) all.push(...(await statuses(`/v1/tasks/${crypto.randomUUID()}`, WATCHER, 1)));
  expect(all).toEqual([404, 404, 429]);
});

test("a wrong key uses up nobody's calls", async () => {
  const [secretId] = ADMIN.split(".");
  expect(new Set(await statuses("/v1/tasks", `${secretId}.a-wrong-key`, 5))).toEqual(new Set([401]));
  expect((await get("/v1/tasks", ADMIN)).status).toBe(200);
});

test("Tencent's way in is limited by action", async () => {
  const list = async () => {
    const body = JSON.stringify({ FunctionName: "push" });
    return contentOf(await fetchLimited(await signedRequest("ListAsyncEvents", { body })));
  };
  for (let n = 0; n < 2; n += 1) expect((await list()).Error).toBeUndefined();
  expect(await list()).toMatchObject({ Error: { Code: "RequestLimitExceeded" } });
  const status = await fetchLimited(await signedRequest("GetAsyncEventStatus", { body: '{"InvokeRequestId":"x"}' }));
  expect(await contentOf(status)).toMatchObject({ Error: { Code: "ResourceNotFound.AsyncEvent" } });
});
