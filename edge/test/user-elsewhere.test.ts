import { describe, expect, it, onTestFinished } from "vitest";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { APP, call, fresh, pushBody, reaches, start, userSig, view } from "./fixtures.test-support.ts";
import { callTencent } from "./tencent-client.test-support.ts";

const WARNING = "x-roomcast-warning";

/** Returns a user as whom no other test pushes. */
async function newUser(): Promise<{ UserId: string; UserSig: string }> {
  const UserId = fresh("u");
  return { UserId, UserSig: await userSig({ userId: UserId }) };
}

async function logOf(taskId: string): Promise<string[]> {
  const response = await call(`/v1/tasks/${taskId}/logs`);
  const { lines } = await response.json<{ lines: { level: string; message: string }[] }>();
  return lines.filter(({ level }) => level === "warn").map(({ message }) => message);
}

async function newWorker(region: string): Promise<FakeWorker> {
  const worker = await FakeWorker.connect({ workerId: fresh("w"), region, capacityUnits: 1000 });
  onTestFinished(() => worker.close());
  return worker;
}

/** Starts a push and lets the worker report it as pushing. */
async function pushing(worker: FakeWorker, body: Record<string, unknown>) {
  const taskId = await start(body);
  const { attempt } = await worker.next("dispatch", (frame) => frame.taskId === taskId);
  worker.report([reportOf({ taskId, attempt })]);
  await reaches(taskId, "pushing");
  return { taskId, attempt };
}

describe("User and room of a push", () => {
  it("cause a warning in the answer, the task and its log when the user already pushes in another room", async () => {
    const user = await newUser();
    const Region = fresh("ap");
    const older = await start(await pushBody({ ...user, Region, StrRoomId: "maths_1" }));
    const response = await call("/", { method: "POST", body: await pushBody({ ...user, Region }) });
    expect(response.status).toBe(200);
    const warning = response.headers.get(WARNING) ?? "";
    expect(warning).toMatch(/^UserIdElsewhere: [\x20-\x7e]+$/);
    expect(warning).toContain(older);
    expect(warning).toContain('the string room "maths_1"');
    const taskId = response.headers.get("x-scf-reqid") ?? "";
    const { warnings } = await view(taskId);
    expect(warnings).toMatchObject([{ code: "UserIdElsewhere", message: expect.stringContaining(older) }]);
    expect(await logOf(taskId)).toEqual([warnings[0]?.message]);
    expect(await view(older)).toMatchObject({ state: "queued", warnings: [] });
  });

  it("cause the same warning in the JSON answer of StartStreamIngest", async () => {
    const user = await newUser();
    const older = await start(await pushBody({ ...user, Region: fresh("ap") }));
    const room = { RoomId: fresh("r").replaceAll("-", "_"), RoomIdType: 0 };
    const parameters = { SdkAppId: APP, ...room, ...user, StreamUrl: "https://a.example/b.mp4" };
    const answer = await callTencent("StartStreamIngest", parameters, { service: "trtc" });
    expect(answer).toMatchObject({ Warnings: [{ Code: "UserIdElsewhere", Message: expect.stringContaining(older) }] });
  });

  it("cause no warning for the same seat, for another application or after the older push has ended", async () => {
    const user = await newUser();
    const Region = fresh("ap");
    const body = await pushBody({ ...user, Region });
    const first = await start(body);
    const again = await call("/", { method: "POST", body });
    expect(again.headers.get(WARNING)).toBeNull();
    await reaches(first, "aborted");
    const last = again.headers.get("x-scf-reqid") ?? "";
    await call(`/v1/tasks/${last}`, { method: "DELETE" });
    await reaches(last, "aborted");
    await start(await pushBody({ ...user, Region, OnConflict: "reject" }));
  });

  it("are a conflict for OnConflict=reject while the user pushes in another room, which the refusal names", async () => {
    const user = await newUser();
    const Region = fresh("ap");
    const older = await start(await pushBody({ ...user, Region, StrRoomId: undefined, RoomId: 42 }));
    const rejecting = await pushBody({ ...user, Region, OnConflict: "reject" });
    const response = await call("/", { method: "POST", body: rejecting });
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({ error: { code: "ResourceInUse.UserId" } });
    const { error } = await (await call("/", { method: "POST", body: rejecting })).json<{
      error: { message: string };
    }>();
    expect(error.message).toContain(older);
    expect(error.message).toContain("the integer room 42");
    await call(`/v1/tasks/${older}`, { method: "DELETE" });
    await reaches(older, "aborted");
    await expect(start(rejecting)).resolves.toMatch(/^[0-9a-f-]{36}$/);
  });

  it("are not a conflict while one of the pushes starts only later", async () => {
    const user = await newUser();
    const StartAt = new Date(Date.now() + 3_600_000).toISOString();
    const Region = fresh("ap");
    const later = await start(await pushBody({ ...user, Region, StartAt, OnConflict: "reject" }));
    const response = await call("/", {
      method: "POST",
      body: await pushBody({ ...user, Region, OnConflict: "reject" }),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get(WARNING)).toContain(later);
  });

  it("end the user's older push with OnConflict=replace once the newer one is in its room, not before", async () => {
    const user = await newUser();
    const Region = fresh("ap");
    const worker = await newWorker(Region);
    const older = await pushing(worker, await pushBody({ ...user, Region }));
    const taskId = await start(await pushBody({ ...user, Region, OnConflict: "replace" }));
    const { attempt } = await worker.next("dispatch", (frame) => frame.taskId === taskId);
    worker.report([reportOf({ taskId, attempt }, { state: "starting" })]);
    await reaches(taskId, "starting");
    expect(await view(older.taskId)).toMatchObject({ state: "pushing" });
    worker.report([reportOf({ taskId, attempt })]);
    const stop = await worker.next("stop", (frame) => frame.taskId === older.taskId);
    expect(stop).toMatchObject({ reason: `replaced by ${taskId}` });
    worker.ended(older, { name: "aborted", reason: stop.reason });
    expect(await reaches(older.taskId, "aborted")).toMatchObject({ reason: `replaced by ${taskId}`, error: null });
    expect(await view(taskId)).toMatchObject({ state: "pushing" });
  });

  it("end the older push as replaced, not failed, when TRTC removes it for the newer one", async () => {
    const user = await newUser();
    const Region = fresh("ap");
    const worker = await newWorker(Region);
    const older = await pushing(worker, await pushBody({ ...user, Region }));
    const taskId = await start(await pushBody({ ...user, Region, OnConflict: "replace" }));
    await worker.next("dispatch", (frame) => frame.taskId === taskId);
    const error = {
      code: "FailedOperation.RoomReplaced",
      message: "Another publisher came.",
      retryable: false,
    } as const;
    worker.ended(older, { name: "failed", error });
    expect(await reaches(older.taskId, "aborted")).toMatchObject({ reason: `replaced by ${taskId}` });
  });

  it("keep the older push when the replacing push fails", async () => {
    const user = await newUser();
    const Region = fresh("ap");
    const worker = await newWorker(Region);
    const older = await pushing(worker, await pushBody({ ...user, Region }));
    const newer = await start(await pushBody({ ...user, Region, OnConflict: "replace" }));
    const { attempt } = await worker.next("dispatch", (frame) => frame.taskId === newer);
    const error = { code: "FailedOperation.SourceNotFound", message: "It is gone.", retryable: false } as const;
    worker.ended({ taskId: newer, attempt }, { name: "failed", error });
    await reaches(newer, "failed");
    const replaced = { code: "FailedOperation.RoomReplaced", message: "Another publisher.", retryable: false } as const;
    // By then the older task has been notified.
    await eventually(async () => {
      const list = await (await call(`/v1/tasks?SdkAppId=${APP}&taskId=${newer}`)).json();
      expect(list).toMatchObject({ counts: { FAILED: 1 } });
    });
    expect(await view(older.taskId)).toMatchObject({ state: "pushing" });
    worker.ended(older, { name: "failed", error: replaced });
    expect(await reaches(older.taskId, "failed")).toMatchObject({ error: { code: replaced.code } });
  });

  it("cause a warning in the task when the room is an integer room", async () => {
    const user = await newUser();
    const body = await pushBody({ ...user, Region: fresh("ap"), StrRoomId: undefined, RoomId: 4711 });
    const response = await call("/", { method: "POST", body });
    expect(response.headers.get(WARNING)).toBeNull();
    const taskId = response.headers.get("x-scf-reqid") ?? "";
    const { warnings } = await view(taskId);
    expect(warnings).toMatchObject([{ code: "IntegerRoom", message: expect.stringContaining("StrRoomId") }]);
    expect(await logOf(taskId)).toEqual([warnings[0]?.message]);
  });
});
