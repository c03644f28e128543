import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { seal, unseal } from "../src/base/seal.ts";
import { signature } from "../src/callback/callback-body.ts";
import { type Outbox } from "../src/callback/outbox.ts";
import { taskCallbackSubject } from "../src/model/seal-subject.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import {
  ADMIN,
  APP,
  call,
  fresh,
  KEYED_APP,
  KEYED_APP_SECRET,
  pushBody,
  reaches,
  SEAL_KEYS,
  start,
  userSig,
} from "./fixtures.test-support.ts";

interface Received {
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

const KEY = "123654";

let received: Received[];
/** The receiver's answers to successive requests; the last one is repeated. */
let answers: (() => Response | Promise<Response>)[];

beforeEach(() => {
  received = [];
  answers = [() => new Response('{"code":0}')];
  // The objects of this isolate send through this mock; the behaviour of workerd itself is tested elsewhere with a real receiver.
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    received.push({ url: request.url, headers: request.headers, body: await request.text() });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined) throw new Error("no answer is planned");
    return Promise.race([Promise.resolve(answer()), aborted(init?.signal)]);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

function aborted(signal: AbortSignal | null | undefined): Promise<Response> {
  return new Promise((_resolve, reject) => {
    // SAFETY: an AbortSignal is aborted by an Error here.
    signal?.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

const never = () => new Promise<Response>(() => {});

function events(url: string): string[] {
  return received
    .filter((request) => request.url === url)
    .map(({ body }) => {
      // SAFETY: sent by the code under test; a wrong shape fails the comparison.
      const event = JSON.parse(body) as {
        EventType?: number;
        EventInfo: { Status: unknown; State?: string; Seq?: number };
      };
      const { State, Seq, Status } = event.EventInfo;
      return event.EventType === undefined ? `${Seq} ${State}` : `${event.EventType}/${String(Status)}`;
    });
}

function untilReceived(url: string, expected: readonly string[]): Promise<void> {
  return eventually(() => expect(events(url)).toEqual(expected));
}

function hook(): { url: string; parameters: { CallbackUrl: string; CallbackKey: string } } {
  const url = `https://hooks.example.com/${fresh("hook")}`;
  return { url, parameters: { CallbackUrl: url, CallbackKey: KEY } };
}

async function worker(Region: string): Promise<FakeWorker> {
  const connected = await FakeWorker.connect({ workerId: fresh("worker"), region: Region });
  onTestFinished(() => connected.close());
  return connected;
}

/** Returns what the task has stored about its callbacks, or undefined. */
function storedCallbacks(taskId: string): Promise<unknown> {
  return runInDurableObject(env.TASK.getByName(taskId), (_object, { storage }) => storage.kv.get("callbacks"));
}

describe("Task callbacks", () => {
  it("report the start and the end of a push with a signature, after which no key is stored", async () => {
    const Region = fresh("ap");
    const { url, parameters } = hook();
    const taskId = await start(await pushBody({ Region, ...parameters }));
    const holder = await worker(Region);
    const { attempt, request } = await holder.next("dispatch", (frame) => frame.taskId === taskId);
    expect(JSON.stringify(request)).not.toContain("Callback");
    holder.report([reportOf({ taskId, attempt })]);
    await untilReceived(url, ["701/0"]);
    expect(JSON.stringify(await storedCallbacks(taskId))).not.toContain(KEY);
    holder.ended({ taskId, attempt }, { name: "finished" });
    await untilReceived(url, ["701/0", "702/0"]);
    for (const { headers, body } of received) {
      expect(headers.get("Sign")).toBe(await signature(body, KEY));
      expect(headers.get("SdkAppId")).toBe(String(APP));
      expect(headers.get("Content-Type")).toBe("application/json");
      expect(JSON.parse(body)).toMatchObject({ EventGroupId: 7, EventInfo: { TaskId: taskId } });
    }
    await eventually(async () => expect(await storedCallbacks(taskId)).toBeUndefined());
  });

  it("report every change to the application's receiver when it has Events=all", async () => {
    const url = `https://hooks.example.com/${fresh("app")}`;
    const set = await call(`/v1/callbacks/${KEYED_APP}`, {
      method: "PUT",
      as: ADMIN,
      body: { Url: url, Key: KEY, Events: "all" },
    });
    expect(set.status).toBe(200);
    expect(await set.json()).toMatchObject({
      SdkAppId: KEYED_APP,
      Url: new URL(url).origin,
      Events: "all",
      changedBy: "admin",
    });
    onTestFinished(async () => void (await call(`/v1/callbacks/${KEYED_APP}`, { method: "DELETE", as: ADMIN })));
    const UserSig = await userSig({ sdkAppId: KEYED_APP, secretKey: KEYED_APP_SECRET });
    const taskId = await start(await pushBody({ SdkAppId: KEYED_APP, UserSig, Region: fresh("ap") }));
    await call(`/v1/tasks/${taskId}`, { method: "DELETE" });
    await untilReceived(url, ["1 queued", "2 aborted", "702/0"]);
    // SAFETY: a wrong shape fails the comparison.
    expect((JSON.parse(received.at(-2)?.body ?? "") as { EventInfo: unknown }).EventInfo).toMatchObject({
      State: "aborted",
      Status: "ABORTED",
      Reason: "stopped by the user",
    });
  });

  it("go to the receiver in the request instead of the application's receiver", async () => {
    const app = `https://hooks.example.com/${fresh("app")}`;
    await call(`/v1/callbacks/${APP}`, { method: "PUT", as: ADMIN, body: { Url: app, Key: KEY } });
    onTestFinished(async () => void (await call(`/v1/callbacks/${APP}`, { method: "DELETE", as: ADMIN })));
    const { url, parameters } = hook();
    const taskId = await start(await pushBody({ Region: fresh("ap"), ...parameters }));
    await call(`/v1/tasks/${taskId}`, { method: "DELETE" });
    await untilReceived(url, ["702/0"]);
    expect(events(app)).toEqual([]);
  });

  it("are sent again in order until the receiver accepts them", async () => {
    const { url, parameters } = hook();
    answers = [
      () => new Response("", { status: 500 }),
      () => new Response("", { status: 302 }),
      never,
      () => new Response(""),
    ];
    const taskId = await start(await pushBody({ Region: fresh("ap"), ...parameters, CallbackEvents: "all" }));
    await call(`/v1/tasks/${taskId}`, { method: "DELETE" });
    const expected = ["1 queued", "1 queued", "1 queued", "1 queued", "2 aborted", "702/0"];
    await expect.poll(() => events(url), { timeout: 10_000, interval: 20 }).toEqual(expected);
  });

  it("give up an event that is never accepted and log this without the URL", async () => {
    const { url, parameters } = hook();
    answers = [() => new Response("", { status: 503 })];
    const body = await pushBody({ Region: fresh("ap"), ...parameters, CallbackUrl: `${url}?token=url-secret` });
    const taskId = await start(body);
    await call(`/v1/tasks/${taskId}`, { method: "DELETE" });
    const log = await eventually(async () => {
      const text = await (await call(`/v1/tasks/${taskId}/logs`)).text();
      expect(text).toContain("given up");
      return text;
    });
    expect(log).toMatch(/The callback 702 was given up after \d tries: the receiver answered HTTP 503/);
    expect(log).not.toContain("url-secret");
    await eventually(async () => expect(await storedCallbacks(taskId)).toBeUndefined());
  });

  it("do not delay the task when the receiver does not answer", async () => {
    const Region = fresh("ap");
    const { parameters } = hook();
    answers = [never];
    const holder = await worker(Region);
    const taskId = await start(await pushBody({ Region, ...parameters, CallbackEvents: "all" }));
    await eventually(() => expect(received).toHaveLength(1));
    const { attempt } = await holder.next("dispatch", (frame) => frame.taskId === taskId);
    holder.report([reportOf({ taskId, attempt })]);
    expect(await reaches(taskId, "pushing")).toMatchObject({ attempt: 1 });
  });

  it("are sent after a restart of the object when they were not accepted before", async () => {
    const { url, parameters } = hook();
    answers = [never];
    const taskId = await start(await pushBody({ Region: fresh("ap"), ...parameters }));
    await call(`/v1/tasks/${taskId}`, { method: "DELETE" });
    await eventually(() => expect(events(url)).toHaveLength(1));
    await evictDurableObject(env.TASK.getByName(taskId));
    answers = [() => new Response("")];
    await eventually(async () => {
      expect(await storedCallbacks(taskId)).toBeUndefined();
      expect(events(url).length).toBeGreaterThanOrEqual(2);
    });
    expect(new Set(events(url))).toEqual(new Set(["702/0"]));
  });

  it("have their unsent events sealed again after a newer key was put first in SEAL_KEY", async () => {
    const { url, parameters } = hook();
    const taskId = await start(await pushBody({ Region: fresh("ap"), ...parameters }));
    const [newest, older] = SEAL_KEYS;
    const subject = taskCallbackSubject(taskId);
    const target = {
      kind: "request",
      events: "trtc",
      sealed: await seal({ url, key: KEY }, [older], subject),
    } as const;
    const task = env.TASK.getByName(taskId);
    await runInDurableObject(task, (_object, { storage }) => {
      const outbox = storage.kv.get<Outbox>("callbacks");
      if (outbox !== undefined) storage.kv.put<Outbox>("callbacks", { ...outbox, target });
    });
    await evictDurableObject(task);
    answers = [never];
    await call(`/v1/tasks/${taskId}`, { method: "DELETE" });
    const { sealed } = await eventually(async () => {
      // SAFETY: the task stores an Outbox under this key.
      const { target: now } = (await storedCallbacks(taskId)) as Outbox;
      if (now.kind !== "request" || now.sealed === target.sealed) throw new Error("not sealed again yet");
      return now;
    });
    expect(await unseal(sealed, [newest], subject)).toEqual({ url, key: KEY });
  });

  it.each([
    ["loopback", { CallbackUrl: "https://127.0.0.1/x", CallbackKey: KEY }, "CallbackUrl"],
    ["loopback in decimal", { CallbackUrl: "https://2130706433/x", CallbackKey: KEY }, "CallbackUrl"],
    ["plain http", { CallbackUrl: "http://hooks.example.com/x", CallbackKey: KEY }, "CallbackUrl"],
    ["a text that is not a URL", { CallbackUrl: "hooks", CallbackKey: KEY }, "CallbackUrl"],
    ["no key", { CallbackUrl: "https://hooks.example.com/x" }, "CallbackKey"],
    ["a key without a URL", { CallbackKey: KEY }, "CallbackUrl"],
  ])("are refused at the create when they have %s", async (_what, parameters, field) => {
    const response = await call("/", { method: "POST", body: await pushBody(parameters) });
    expect(response.status).toBe(400);
    const { error } = await response.json<{ error: { fields: { field: string }[] } }>();
    expect(error.fields.map((problem) => problem.field)).toEqual([field]);
  });

  it("are shown in the task by the receiver's origin only, never with their key", async () => {
    const { url, parameters } = hook();
    const taskId = await start(
      await pushBody({ Region: fresh("ap"), ...parameters, CallbackUrl: `${url}?token=url-secret` }),
    );
    const text = await (await call(`/v1/tasks/${taskId}`)).text();
    expect(text).toContain(`"CallbackUrl":"${new URL(url).origin}"`);
    expect(text).not.toMatch(/url-secret|123654/);
  });
});
