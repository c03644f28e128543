import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { mintWorkerToken, type NewCredential } from "@roomcast/shared";
import { describe, expect, it, vi } from "vitest";
import { app } from "../src/app.ts";
import { forgetKeyring } from "../src/caches/keyring-cache.ts";
import { KEYRING } from "../src/contracts/keyring-object.ts";
import { bearerCaller } from "../src/doors/plain/bearer.ts";
import type { TaskRecord } from "../src/objects/task/task-record.ts";
import { eventually } from "./eventually.test-support.ts";
import {
  ADMIN,
  APP,
  call,
  fresh,
  KEYED_APP,
  KEYED_APP_SECRET,
  pushBody,
  RIVAL,
  SCHOOL,
  start,
  userSig,
  view,
  WATCHER,
  WORKER_TOKEN_KEY,
} from "./fixtures.test-support.ts";

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly text: string;
}

async function answer(response: Response): Promise<Answer> {
  const text = await response.text();
  // SAFETY: only the code is read; a wrong shape fails the comparison.
  const body = text.startsWith("{") ? (JSON.parse(text) as { error?: { code: string } }) : {};
  return { status: response.status, code: body.error?.code, text };
}

describe("Edge under attack", () => {
  it("answers an unknown SecretId and a wrong SecretKey in the same way", async () => {
    const pairs = ["nobody.some-secret-key", "school.some-secret-key", "__proto__.some-secret-key", "school."];
    const answers = await Promise.all(pairs.map(async (as) => answer(await call("/v1/tasks", { as }))));
    const shapes = answers.map(({ status, code, text }) =>
      [status, code, text.replace(/"requestId":"[^"]*"/, "")].join(),
    );
    expect(new Set(shapes).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, code: "AuthFailure.InvalidAuthorization" });
  });

  it("compares secrets in constant time, equally often for unknown and known SecretIds", async () => {
    const compare = vi.spyOn(crypto.subtle, "timingSafeEqual");
    const caller = { secretId: "a", sdkAppIds: "*", role: "viewer" } as const;
    const known = { caller, secretKeys: ["one-secret-key"] };
    for (const credential of [known, undefined]) {
      compare.mockClear();
      await expect(bearerCaller("a.wrong", async () => credential)).rejects.toMatchObject({
        code: "AuthFailure.InvalidAuthorization",
      });
      expect(compare).toHaveBeenCalledOnce();
    }
    // Every valid key is compared, even after the first one has matched.
    compare.mockClear();
    await bearerCaller("a.one-secret-key", async () => ({ caller, secretKeys: ["one-secret-key", "two-secret-key"] }));
    expect(compare).toHaveBeenCalledTimes(2);
    compare.mockRestore();
  });

  it("does not call the keyring for every guessed SecretId", async () => {
    forgetKeyring();
    await call("/v1/tasks", { as: "guess.some-secret-key" });
    const statuses = await runInDurableObject(env.KEYRING.getByName(KEYRING), async (keyring) => {
      // A call that asked for the snapshot now would be answered with an internal error.
      const snapshot = vi.spyOn(keyring, "snapshot");
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => call("/v1/tasks", { as: `guess-${n}.some-secret-key` })),
      );
      snapshot.mockRestore();
      return answers.map(({ status }) => status);
    });
    expect(new Set(statuses)).toEqual(new Set([401]));
  });

  it("refuses a credential 5 s after another isolate has revoked it", async () => {
    const body = { sdkAppIds: [APP], role: "viewer" };
    const { secretId, secretKey } = await (
      await call("/v1/credentials", { method: "POST", as: ADMIN, body })
    ).json<NewCredential>();
    const as = `${secretId}.${secretKey}`;
    expect((await call("/v1/tasks", { as })).status).toBe(200);
    // Another isolate revokes the credential, and this one is not notified.
    await env.KEYRING.getByName(KEYRING).revokeCredential({ secretId: "admin", sdkAppIds: "*" }, secretId);
    expect((await call("/v1/tasks", { as })).status).toBe(200);
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 5000);
    expect((await call("/v1/tasks", { as })).status).toBe(401);
    clock.mockRestore();
    forgetKeyring();
  });

  it.each([
    ["two headers in one", `Bearer ${SCHOOL}, Bearer ${ADMIN}`],
    ["text after the key", `Bearer ${SCHOOL} x`],
    ["a SecretId with a path in it", "Bearer school/../admin.admin-secret-key"],
    ["a NUL", "Bearer school%00.school-secret-key"],
    ["no SecretId", "Bearer .school-secret-key"],
    ["no scheme", SCHOOL],
    ["100 KB of text", `Bearer school.${"x".repeat(100_000)}`],
  ])("refuses an Authorization header with %s", async (_what, Authorization) => {
    const { status, text } = await answer(await call("/v1/tasks", { as: null, headers: { Authorization } }));
    expect(status).toBe(401);
    expect(text).not.toContain("secret-key");
    expect(text.length).toBeLessThan(1000);
  });

  it("ignores internal headers when they come from outside", async () => {
    const region = fresh("ap");
    const token = await mintWorkerToken({
      workerId: "honest",
      regions: [region],
      key: WORKER_TOKEN_KEY,
      lifetimeS: 60,
    });
    const response = await exports.default.fetch(`http://edge/v1/fleet/connect?region=${region}`, {
      headers: {
        Upgrade: "websocket",
        Authorization: `Bearer ${token}`,
        "x-roomcast-worker-id": "victim",
        "x-roomcast-region": "ap-victim",
      },
    });
    const socket = response.webSocket;
    if (socket === null) throw new Error(`no socket: ${response.status}`);
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener("close", resolve));
    socket.accept();
    const hello = {
      type: "hello",
      protocol: 1,
      workerId: "victim",
      instanceId: crypto.randomUUID(),
      region,
      version: "0.1.0",
    };
    socket.send(JSON.stringify({ ...hello, capacityUnits: 1, load: { units: 0 }, running: [], draining: false }));
    expect(await closed).toMatchObject({ code: 4401 });
  });

  it.each([
    ["a token for another region", { regions: ["ap-elsewhere"] }],
    ["a token signed with another key", { key: "another key for worker tokens of 32 characters" }],
    ["an expired token", { lifetimeS: -1 }],
  ])("opens no worker socket for %s", async (_what, wrong) => {
    const token = await mintWorkerToken({
      workerId: "w",
      regions: ["ap-here"],
      key: WORKER_TOKEN_KEY,
      lifetimeS: 60,
      ...wrong,
    });
    const response = await exports.default.fetch("http://edge/v1/fleet/connect?region=ap-here", {
      headers: { Upgrade: "websocket", Authorization: `Bearer ${token}` },
    });
    expect(await answer(response)).toMatchObject({ status: 401, code: "AuthFailure.InvalidWorkerToken" });
  });

  it("accepts neither a worker token as a credential nor a credential as a worker token", async () => {
    const token = await mintWorkerToken({ workerId: "w", regions: ["ap-here"], key: WORKER_TOKEN_KEY, lifetimeS: 60 });
    expect((await answer(await call("/v1/tasks", { as: token }))).status).toBe(401);
    const dial = await call("/v1/fleet/connect?region=ap-here", { as: ADMIN, headers: { Upgrade: "websocket" } });
    expect(await answer(dial)).toMatchObject({ status: 401, code: "AuthFailure.InvalidWorkerToken" });
  });

  it("treats JSON keys that are special in JavaScript as unknown parameters and changes no prototype", async () => {
    const body = JSON.stringify(await pushBody());
    for (const extra of [
      '"__proto__":{"role":"admin"}',
      '"constructor":{"prototype":{"role":"admin"}}',
      '"prototype":{}',
    ]) {
      const { status, text } = await answer(await call("/", { method: "POST", body: body.replace("{", `{${extra},`) }));
      expect({ extra, status }).toEqual({ extra, status: 400 });
      expect(text).toContain("is not a known parameter");
    }
    expect(Object.hasOwn(Object.prototype, "role")).toBe(false);
  });

  it("uses the last value of a repeated parameter, in every check and in the task", async () => {
    const body = JSON.stringify(await pushBody({ SdkAppId: APP }));
    const foreignLast = body.replace(/}$/, ',"SdkAppId":1400000009}');
    expect(await answer(await call("/", { method: "POST", body: foreignLast }))).toMatchObject({ status: 403 });
    const foreignFirst = body.replace("{", '{"SdkAppId":1400000009,');
    const taskId = (await call("/", { method: "POST", body: foreignFirst })).headers.get("x-scf-reqid") ?? "";
    expect((await view(taskId)).request.SdkAppId).toBe(APP);
  });

  it("closes every route of a task to other applications, and every changing route to viewers", async () => {
    const taskId = await start(await pushBody());
    const routes = [
      ["GET", `/v1/tasks/${taskId}`, undefined],
      ["GET", `/v1/tasks/${taskId}/logs`, undefined],
      ["DELETE", `/v1/tasks/${taskId}`, undefined],
      ["PATCH", `/v1/tasks/${taskId}`, { Volume: 50 }],
    ] as const;
    for (const [method, path, body] of routes) {
      const rival = await answer(await call(path, { method, as: RIVAL, body }));
      expect(rival, `${method} ${path}`).toMatchObject({ status: 404, code: "ResourceNotFound.Task" });
      const watcher = await call(path, { method, as: WATCHER, body });
      await watcher.text();
      expect(watcher.status, `${method} ${path} of a viewer`).toBe(method === "GET" ? 200 : 403);
    }
    const listed = await (await call("/v1/tasks?limit=100", { as: RIVAL })).text();
    expect(listed).not.toContain(taskId);
    expect((await view(taskId)).state).toBe("queued");
  });

  it("keeps the Idempotency-Keys of different credentials and applications apart", async () => {
    const key = { "Idempotency-Key": fresh("key") };
    const body = await pushBody();
    const first = await start(body, { headers: key });
    expect(await start(body, { headers: key, as: ADMIN })).not.toBe(first);
    const UserSig = await userSig({ sdkAppId: KEYED_APP, secretKey: KEYED_APP_SECRET });
    const keyed = await start(await pushBody({ SdkAppId: KEYED_APP, UserSig }), { headers: key });
    expect(keyed).not.toBe(first);
    // A SecretId that is the beginning of another's key does not collide: the separator cannot occur in a SecretId.
    const forged = await answer(await call("/", { method: "POST", body, as: RIVAL, headers: key }));
    expect(forged).toMatchObject({ status: 403 });
    // The task has looked for a worker by then, so nothing is in progress when these tests end.
    await eventually(() =>
      runInDurableObject(env.TASK.getByName(keyed), (_task, { storage }) => {
        expect(storage.kv.get<TaskRecord>("task")?.placeAtMs).toBeGreaterThan(Date.now());
      }),
    );
  });

  it("refuses a header that is too long and does not repeat it in the answer", async () => {
    const request = new Request("http://edge/", {
      method: "POST",
      headers: {
        Authorization: `Bearer ${SCHOOL}`,
        "Idempotency-Key": "k".repeat(50_000),
        "X-TC-Region": "r".repeat(50_000),
      },
      body: JSON.stringify(await pushBody()),
    });
    const { status, text } = await answer(await app.fetch(request, env, createExecutionContext()));
    expect(status).toBe(400);
    expect(text.length).toBeLessThan(1000);
  });
});
