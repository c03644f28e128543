import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { checkUserSig } from "@roomcast/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import {
  call,
  fresh,
  KEYED_APP,
  KEYED_APP_SECRET,
  pushBody,
  reaches,
  start,
  userSig,
  view,
} from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

const HOUR_MS = 3_600_000;

function inAnHour(): string {
  return new Date(Date.now() + HOUR_MS).toISOString();
}

/** Moves the clock forward and runs the task's alarm. */
async function later(taskId: string, passedMs: number): Promise<void> {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + passedMs });
  await runDurableObjectAlarm(env.TASK.getByName(taskId));
}

describe("Scheduled push", () => {
  it("waits until shortly before StartAt, which its worker then receives", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const worker = await FakeWorker.connect(at);
    const StartAt = inAnHour();
    const taskId = await start(await pushBody({ Region: at.region, StartAt }));
    await later(taskId, HOUR_MS - 20_000);
    expect(await view(taskId)).toMatchObject({ state: "queued", workerId: null });
    expect(worker.frames.some(({ type }) => type === "dispatch")).toBe(false);
    // Free capacity does not wake the task early either.
    await env.TASK.getByName(taskId).wake();
    await runDurableObjectAlarm(env.TASK.getByName(taskId));
    expect(await view(taskId)).toMatchObject({ state: "queued" });

    await later(taskId, 6000);
    expect(await worker.next("dispatch")).toMatchObject({ taskId, request: { StartAt } });
  });

  it("counts its queue timeout from StartAt", async () => {
    const taskId = await start(await pushBody({ Region: fresh("ap"), StartAt: inAnHour() }));
    await later(taskId, HOUR_MS - 10_000);
    expect(await view(taskId)).toMatchObject({ state: "queued" });
    await later(taskId, 60_000);
    expect(await reaches(taskId, "failed")).toMatchObject({ error: { code: "ResourceInsufficient" } });
  });

  it("starts at once when StartAt has passed", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const worker = await FakeWorker.connect(at);
    const taskId = await start(await pushBody({ Region: at.region, StartAt: "2020-01-01T00:00:00Z" }));
    expect(await worker.next("dispatch")).toMatchObject({ taskId });
  });

  it("lets the older push of its seat play until StartAt", async () => {
    const push = await running();
    const taskId = await start({ ...push.body, StartAt: inAnHour() });
    expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
    expect(push.worker.frames.some(({ type }) => type === "stop")).toBe(false);
    await later(taskId, HOUR_MS - 15_000);
    await push.worker.next("dispatch", (frame) => frame.taskId === taskId);
    expect(push.worker.frames.some(({ type }) => type === "stop")).toBe(false);
  });

  it("needs a UserSig that is valid at StartAt, unless the edge can make one", async () => {
    const StartAt = new Date(Date.now() + 48 * HOUR_MS).toISOString();
    const refused = await call("/", { method: "POST", body: await pushBody({ StartAt }) });
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("AuthFailure.UserSigExpired");
    const UserSig = await userSig({ sdkAppId: KEYED_APP, secretKey: KEYED_APP_SECRET });
    await expect(start(await pushBody({ SdkAppId: KEYED_APP, UserSig, StartAt }))).resolves.toBeTypeOf("string");
  });

  it("gets a new UserSig for a week with every attempt when the application's SecretKey is known", async () => {
    const given = await userSig({ sdkAppId: KEYED_APP, secretKey: KEYED_APP_SECRET });
    const { at, worker, dispatch } = await running({ rest: { SdkAppId: KEYED_APP, UserSig: given } });
    const check = (userSigGiven: string, inDays: number) =>
      checkUserSig({
        userSig: userSigGiven,
        userId: "teacher",
        sdkAppId: KEYED_APP,
        secretKey: KEYED_APP_SECRET,
        nowMs: Date.now() + inDays * 24 * HOUR_MS,
      });
    await expect(check(given, 6)).rejects.toThrow("expired");
    await expect(check(dispatch.request.UserSig, 6)).resolves.toMatchObject({ userId: "teacher" });
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.close();
    const again = await other.next("dispatch");
    await expect(check(again.request.UserSig, 6)).resolves.toMatchObject({ userId: "teacher" });
  });

  it("fails at its ExecutionTimeout", async () => {
    const { worker, taskId, dispatch } = await running({ rest: { ExecutionTimeout: 90 } });
    expect(dispatch.request).not.toHaveProperty("ExecutionTimeout");
    await later(taskId, 80_000);
    expect(await view(taskId)).toMatchObject({ state: "pushing" });
    await worker.measures(0.1, [reportOf(dispatch, { positionMs: 85_000 })]);
    await later(taskId, 11_000);
    const failed = await reaches(taskId, "failed");
    // The worker's own report of the end would come too late.
    expect(failed.progress).toMatchObject({ positionMs: 85_000 });
    expect(failed.error).toMatchObject({ code: "FailedOperation.ExecutionTimeout", retryable: false });
    expect(failed.error?.message).toContain("90 s");
  });

  it("passes the rest of MaxDuration to the worker of its next attempt", async () => {
    const { at, worker, taskId, dispatch } = await running({ rest: { MaxDuration: 60 } });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 20.5 * 60_000 });
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.ended(dispatch, { name: "released" });
    await reaches(taskId, "queued");
    await later(taskId, 1);
    expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2, request: { MaxDuration: 40 } });
  });

  it("may run longer than the default limit when its MaxDuration is longer", async () => {
    const { taskId } = await running({ rest: { MaxDuration: 3 * 24 * 60 } });
    await later(taskId, 48 * HOUR_MS);
    expect(await view(taskId)).toMatchObject({ state: "pushing" });
    await later(taskId, 24 * HOUR_MS + 60_001);
    expect(await reaches(taskId, "failed")).toMatchObject({ error: { code: "FailedOperation.ExecutionTimeout" } });
  });
});
