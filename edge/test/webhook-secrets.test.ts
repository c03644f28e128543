import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KEYRING } from "../src/contracts/keyring-object.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { ADMIN, call, fresh, pushBody, start, userSig } from "./fixtures.test-support.ts";
import { storedIn } from "./stored-in.test-support.ts";
import { callTencent } from "./tencent-client.test-support.ts";

/** Webhooks of chat services have their secret in the path of the URL. */
const TOKEN = "T0KEN-0f-the-webhook";
const URL_WITH_TOKEN = `https://hooks.example.com/services/${TOKEN}`;
const CALLBACK = { CallbackUrl: URL_WITH_TOKEN, CallbackKey: "123654" };

/** An application whose callbacks no other test sets. */
const APP = 1_477_000_009;

/** Everything that the edge writes to its own log. */
let logged: unknown[];
let posted: string[];

beforeEach(() => {
  logged = [];
  posted = [];
  for (const level of ["debug", "info", "log", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...words: unknown[]) => logged.push(words));
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

function receiverAnswers(answer: (url: string) => Response): void {
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const { url } = new Request(input, init);
    posted.push(url);
    return answer(url);
  });
}

async function textOf(path: string): Promise<string> {
  return (await call(path, { as: ADMIN })).text();
}

async function startPush(Region: string): Promise<string> {
  const UserSig = await userSig({ sdkAppId: APP });
  return start(await pushBody({ Region, SdkAppId: APP, UserSig, ...CALLBACK }), { as: ADMIN });
}

/** Returns everything that the API shows about a task and its application's callback. */
async function shownOf(taskId: string): Promise<string[]> {
  const log = { FunctionName: "push", FunctionRequestId: taskId };
  const event = { FunctionName: "push", InvokeRequestId: taskId };
  return Promise.all([
    textOf(`/v1/tasks/${taskId}`),
    textOf(`/v1/tasks/${taskId}/logs`),
    textOf(`/v1/tasks?taskId=${taskId}`),
    textOf(`/v1/callbacks/${APP}`),
    textOf("/v1/audit?limit=100"),
    callTencent("GetFunctionLogs", log, { as: ADMIN }).then(JSON.stringify),
    callTencent("ListAsyncEvents", event, { as: ADMIN }).then(JSON.stringify),
    callTencent("GetAsyncEventStatus", { InvokeRequestId: taskId }, { as: ADMIN }).then(JSON.stringify),
    callTencent("DescribeStreamIngest", { SdkAppId: APP, TaskId: taskId }, { service: "trtc", as: ADMIN }).then(
      JSON.stringify,
    ),
  ]);
}

describe("Path of a webhook's URL", () => {
  it.each<[string, (url: string) => Response]>([
    ["refuses the events", () => new Response("", { status: 503 })],
    ["redirects them", (url) => new Response("", { status: 302, headers: { Location: `${url}/moved` } })],
    [
      "cannot be reached",
      (url) => {
        throw new TypeError(`connect to ${url} failed`);
      },
    ],
  ])("is in no answer, log or storage when the receiver %s", async (_what, answer) => {
    receiverAnswers(answer);
    const set = await call(`/v1/callbacks/${APP}`, {
      method: "PUT",
      as: ADMIN,
      body: { Url: URL_WITH_TOKEN, Key: "123654", Events: "all" },
    });
    const Region = fresh("ap");
    const taskId = await startPush(Region);
    const worker = await FakeWorker.connect({ workerId: fresh("w"), region: Region });
    const { attempt } = await worker.next("dispatch", (frame) => frame.taskId === taskId);
    worker.report([reportOf({ taskId, attempt })]);
    worker.ended({ taskId, attempt }, { name: "finished" });
    await eventually(async () => expect(await textOf(`/v1/tasks/${taskId}/logs`)).toContain("given up"));
    const stored = await Promise.all(
      [env.TASK.getByName(taskId), env.DIRECTORY.getByName(String(APP)), env.KEYRING.getByName(KEYRING)].map(storedIn),
    );
    const shown = await shownOf(taskId);
    const removed = await call(`/v1/callbacks/${APP}`, { method: "DELETE", as: ADMIN });
    expect([set.status, removed.status]).toEqual([200, 204]);
    const audit = await textOf("/v1/audit?limit=100");
    expect(posted).toContain(URL_WITH_TOKEN);
    expect(shown.filter((text) => /"[Ee]rror":\{/.test(text))).toEqual([]);
    expect(shown[0]).toContain('"CallbackUrl":"https://hooks.example.com"');
    expect(audit).toContain("https://hooks.example.com");
    for (const text of [await set.text(), ...shown, ...stored, audit, JSON.stringify([logged, worker.frames])]) {
      expect(text).not.toContain(TOKEN);
    }
    worker.close();
  });

  it.each([
    ["a URL that is not allowed", { CallbackUrl: `http://hooks.example.com/${TOKEN}`, CallbackKey: "123654" }],
    ["a text that is not a URL", { CallbackUrl: `hooks ${TOKEN}`, CallbackKey: "123654" }],
    ["a URL without its key", { CallbackUrl: URL_WITH_TOKEN }],
    ["a URL in a list", { CallbackUrl: [URL_WITH_TOKEN], CallbackKey: "123654" }],
    ["a URL under another name", { Callback: URL_WITH_TOKEN }],
  ])("is not in the error when a create has %s", async (_what, parameters) => {
    const response = await call("/", { method: "POST", body: await pushBody(parameters) });
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain(TOKEN);
    expect(JSON.stringify(logged)).not.toContain(TOKEN);
  });

  it("is not shown when an older version has stored it", async () => {
    const keyring = env.KEYRING.getByName(KEYRING);
    const Url = "https://hooks.example.com/other";
    const set = () => call(`/v1/callbacks/${APP}`, { method: "PUT", as: ADMIN, body: { Url, Key: "k12345" } });
    expect((await set()).status).toBe(200);
    const taskId = await startPush(fresh("ap"));
    await runInDurableObject(keyring, (_keyring, { storage }) => {
      storage.sql.exec(
        "UPDATE callback SET value = json_set(value, '$.shownUrl', ?) WHERE sdk_app_id = ?",
        URL_WITH_TOKEN,
        APP,
      );
      storage.sql.exec("UPDATE audit SET detail = ? WHERE subject = ?", `${URL_WITH_TOKEN}, events all`, String(APP));
    });
    const task = env.TASK.getByName(taskId);
    // The object may write its record at any time, so the old record must be the one that it reads when it restarts.
    await eventually(async () => {
      await runInDurableObject(task, (_task, { storage }) => {
        // SAFETY: the code under test wrote the record.
        const record = storage.kv.get("task") as { request: object };
        storage.kv.put("task", { ...record, request: { ...record.request, CallbackUrl: URL_WITH_TOKEN } });
      });
      await evictDurableObject(task);
      expect(await storedIn(task)).toContain(TOKEN);
    });
    const removed = await call(`/v1/callbacks/${APP}`, { method: "DELETE", as: ADMIN });
    const [view, audit] = [await textOf(`/v1/tasks/${taskId}`), await textOf("/v1/audit?limit=100")];
    expect(removed.status).toBe(204);
    expect(view).toContain('"CallbackUrl":"https://hooks.example.com"');
    expect(audit).toContain("https://hooks.example.com, events all");
    for (const text of [view, audit]) expect(text).not.toContain(TOKEN);
  });
});
