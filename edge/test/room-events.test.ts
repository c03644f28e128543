import { describe, expect, it, onTestFinished } from "vitest";
import { signature } from "../src/callback/callback-body.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import {
  ADMIN,
  APP,
  call,
  fresh,
  KEYED_APP,
  pushBody,
  reaches,
  start,
  userSig,
  view,
} from "./fixtures.test-support.ts";

/** As bound by vitest.config.ts. */
const KEY = "keyOfRoomEvents";

interface Sent {
  readonly type: number;
  readonly room: string | number;
  readonly userId?: string;
  readonly atMs?: number;
  readonly reason?: number;
}

/** Returns the body of an event as TRTC sends it, with tabs and line breaks. */
function bodyOf({ type, room, userId, atMs = Date.now(), reason }: Sent): string {
  const EventInfo = { RoomId: room, EventTs: Math.floor(atMs / 1000), EventMsTs: atMs, UserId: userId, Reason: reason };
  const event = { EventGroupId: type < 200 ? 1 : 2, EventType: type, CallbackTs: atMs + 7, EventInfo };
  return JSON.stringify(event, null, "\t");
}

function post(body: string, headers: Record<string, string>): Promise<Response> {
  return call("/v1/trtc/events", { method: "POST", as: null, body, headers: { SdkAppId: String(APP), ...headers } });
}

async function send(sent: Sent): Promise<void> {
  const body = bodyOf(sent);
  const response = await post(body, { Sign: await signature(body, KEY) });
  expect([response.status, await response.json()]).toEqual([200, { code: 0 }]);
}

/** Starts a push and lets a worker report it as pushing. */
async function pushing(rest: Record<string, unknown> = {}) {
  const [Region, UserId] = [fresh("ap"), fresh("u")];
  const worker = await FakeWorker.connect({ workerId: fresh("w"), region: Region });
  onTestFinished(() => worker.close());
  const body = await pushBody({ Region, UserId, UserSig: await userSig({ userId: UserId }), ...rest });
  const taskId = await start(body);
  const { attempt } = await worker.next("dispatch", (frame) => frame.taskId === taskId);
  worker.report([reportOf({ taskId, attempt })]);
  await reaches(taskId, "pushing");
  return { taskId, attempt, worker, userId: UserId, room: String(body["StrRoomId"]) };
}

describe("Room events", () => {
  it("show in a task and its log whether the room has the picture and how many viewers it has", async () => {
    const { taskId, userId, room } = await pushing();
    expect(await view(taskId)).toMatchObject({ room: null });
    const atMs = Date.now();
    await send({ type: 103, room, userId, atMs, reason: 1 });
    expect(await view(taskId)).toMatchObject({ room: { confirmedAt: null, viewers: 0 } });
    await send({ type: 201, room, userId, atMs: atMs + 5 });
    await send({ type: 103, room, userId: "pupil-1", atMs });
    await send({ type: 103, room, userId: "pupil-2", atMs });
    await send({ type: 104, room, userId: "pupil-1", atMs: atMs + 9, reason: 1 });
    expect(await view(taskId)).toMatchObject({ room: { confirmedAt: new Date(atMs + 5).toISOString(), viewers: 1 } });
    await send({ type: 104, room, userId, atMs: atMs + 10, reason: 2 });
    expect(await view(taskId)).toMatchObject({ state: "pushing", room: { confirmedAt: null, viewers: 1 } });
    const { lines } = await (await call(`/v1/tasks/${taskId}/logs`)).json<{ lines: { message: string }[] }>();
    expect(lines.map(({ message }) => message)).toEqual([
      "The room has the picture, as TRTC says.",
      "The room no longer has the picture, as TRTC says.",
    ]);
  });

  it("count viewers who entered before the push was accepted", async () => {
    const StrRoomId = fresh("room").replaceAll("-", "_");
    await send({ type: 103, room: StrRoomId, userId: "early-bird" });
    const { taskId, userId } = await pushing({ StrRoomId });
    await send({ type: 201, room: StrRoomId, userId });
    expect(await view(taskId)).toMatchObject({ room: { viewers: 1 } });
  });

  it("change nothing when they are of the string room of the same number, of other rooms or of audio", async () => {
    const RoomId = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);
    const { taskId, userId } = await pushing({ StrRoomId: undefined, RoomId });
    await send({ type: 201, room: String(RoomId), userId });
    await send({ type: 201, room: RoomId + 1, userId });
    await send({ type: 203, room: RoomId, userId });
    await send({ type: 999, room: RoomId, userId });
    expect(await view(taskId)).toMatchObject({ room: null });
    await send({ type: 201, room: RoomId, userId });
    expect(await view(taskId)).toMatchObject({ room: { viewers: 0 } });
  });

  it("end a push with a reason when nobody else is in its room for EmptyRoomTimeout seconds", async () => {
    const push = await pushing({ EmptyRoomTimeout: 1 });
    await send({ type: 103, room: push.room, userId: push.userId });
    const stop = await push.worker.next("stop", (frame) => frame.taskId === push.taskId);
    expect(stop).toMatchObject({ reason: "nobody else was in the room for 1 s" });
    push.worker.ended(push, { name: "aborted", reason: stop.reason });
    expect(await reaches(push.taskId, "aborted")).toMatchObject({ reason: "nobody else was in the room for 1 s" });
  });

  it("end a push with a reason when its room is dismissed", { timeout: 30_000 }, async () => {
    const push = await pushing();
    await send({ type: 201, room: push.room, userId: push.userId });
    await send({ type: 102, room: push.room });
    await expect
      .poll(() => push.worker.frames.find(({ type }) => type === "stop"), { timeout: 20_000 })
      .toMatchObject({ taskId: push.taskId, reason: "the room was dismissed" });
  });

  it.each<[string, (body: string) => Promise<Record<string, string>>]>([
    ["have no signature", async () => ({})],
    ["are signed with another key", async (body) => ({ Sign: await signature(body, "another") })],
    ["were changed in transit", async (body) => ({ Sign: await signature(`${body} `, KEY) })],
    [
      "are signed for another application",
      async (body) => ({ Sign: await signature(body, KEY), SdkAppId: String(KEYED_APP) }),
    ],
    ["name no application", async (body) => ({ Sign: await signature(body, KEY), SdkAppId: "x" })],
  ])("are refused and change nothing when they %s", async (_what, headers) => {
    const { taskId, userId, room } = await pushing();
    const body = bodyOf({ type: 201, room, userId });
    const response = await post(body, await headers(body));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: "AuthFailure.SignatureFailure" } });
    expect(await view(taskId)).toMatchObject({ room: null });
  });

  it("are accepted when they are signed with the key of the application's callback", async () => {
    const put = { method: "PUT", as: ADMIN, body: { Url: "https://hooks.example.com/x", Key: "bothWays" } };
    expect((await call(`/v1/callbacks/${KEYED_APP}`, put)).status).toBe(200);
    onTestFinished(async () => void (await call(`/v1/callbacks/${KEYED_APP}`, { method: "DELETE", as: ADMIN })));
    const body = bodyOf({ type: 101, room: 5, userId: "u" });
    const response = await post(body, { Sign: await signature(body, "bothWays"), SdkAppId: String(KEYED_APP) });
    expect([response.status, await response.json()]).toEqual([200, { code: 0 }]);
  });

  it("are refused when a signed body is too long or not JSON", async () => {
    const statusOf = async (body: string) => (await post(body, { Sign: await signature(body, KEY) })).status;
    expect([await statusOf("x".repeat(70_000)), await statusOf("{")]).toEqual([413, 400]);
    expect((await call("/v1/trtc/events")).status).toBe(405);
  });
});
