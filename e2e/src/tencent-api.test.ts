import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { SDK_APP_ID } from "@roomcast/dev/stack/stack";
import { edgeSettings, newStackSecrets } from "@roomcast/dev/stack/stack-secrets";
import { startEdge } from "@roomcast/dev/stack/start-edge";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { expectRefused, tencentClients } from "./harness/tencent-clients.ts";
import { TestSystem } from "./harness/test-system.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** `YYYY-MM-DD hh:mm:ss.ffffff` */
const SCF_TIME = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}$/;
const FUNCTION = { FunctionName: "trtc-push" } as const;
const OTHER_APP = 1_400_000_009;
const CHINA_MS = 8 * 3600 * 1000;

interface KeyPair {
  readonly secretId: string;
  readonly secretKey: string;
}

let system: TestSystem;
let clip: string;
let longClip: string;
let ours: KeyPair;
let foreign: KeyPair;

beforeAll(async () => {
  [clip, longClip] = await Promise.all([sampleClip({ durationS: 3 }), sampleClip({ durationS: 20 })]);
  system = await TestSystem.start({ redis: false });
  ours = await newKeyPair("operator", [SDK_APP_ID]);
  foreign = await newKeyPair("operator", [OTHER_APP]);
});

afterAll(() => system?.stop());
afterEach(() => {
  vi.useRealTimers();
});

async function newKeyPair(role: string, sdkAppIds: readonly number[]): Promise<KeyPair> {
  const body = JSON.stringify({ role, sdkAppIds });
  const response = await system.stack.client.fetch("/v1/credentials", { method: "POST", body });
  // SAFETY: this is the answer of `POST /v1/credentials`; a wrong key pair fails the calls that use it.
  return (await response.json()) as KeyPair;
}

function clients(options: Partial<Parameters<typeof tencentClients>[0]> = {}) {
  return tencentClients({ ...ours, endpoint: `127.0.0.1:${system.stack.edge.port}`, ...options });
}

/** Starts a push by the call that invokes a cloud function. */
async function invoke(VideoSrc: string): Promise<string> {
  const request = await system.pushBody({ VideoSrc });
  const { Result, RequestId } = await clients().scf.Invoke({
    ...FUNCTION,
    InvocationType: "Event",
    ClientContext: JSON.stringify(request),
  });
  expect(RequestId).toMatch(UUID);
  expect(Result).toMatchObject({ Log: "", RetMsg: "", ErrMsg: "", FunctionRequestId: expect.stringMatching(UUID) });
  return Result?.FunctionRequestId ?? "";
}

async function statusOf(InvokeRequestId: string) {
  const { Result } = await clients().scf.GetAsyncEventStatus({ InvokeRequestId });
  return Result;
}

function untilStatus(InvokeRequestId: string, Status: string, StatusCode: number): Promise<void> {
  return vi.waitFor(
    async () => expect(await statusOf(InvokeRequestId)).toEqual({ Status, StatusCode, InvokeRequestId }),
    { timeout: 40_000, interval: 200 },
  );
}

async function ingestRequest(VideoSrc: string) {
  const { SdkAppId, UserId, UserSig } = await system.pushBody({ VideoSrc });
  return { SdkAppId, UserId, UserSig, RoomId: String(Date.now() % 1_000_000), RoomIdType: 1, StreamUrl: VideoSrc };
}

async function ingestStatus(TaskId: string): Promise<string | undefined> {
  return (await clients().trtc.DescribeStreamIngest({ SdkAppId: SDK_APP_ID, TaskId })).Status;
}

describe("Tencent Cloud API", () => {
  it("runs a push as an asynchronous event that is invoked, watched, terminated gracefully and listed, and whose log is read", async () => {
    const began = Date.now();
    const taskId = await invoke(system.stack.files.serve(longClip));
    expect(await statusOf(taskId)).toEqual({ Status: "RUNNING", StatusCode: 0, InvokeRequestId: taskId });
    await system.untilState({ taskId }, "pushing");
    const running = await clients().scf.ListAsyncEvents({ ...FUNCTION, Status: ["RUNNING"] });
    expect(running).toEqual({
      TotalCount: 1,
      EventList: [
        {
          InvokeRequestId: taskId,
          InvokeType: "Event",
          Qualifier: "$LATEST",
          Status: "RUNNING",
          StartTime: expect.stringMatching(SCF_TIME),
          EndTime: "",
        },
      ],
      RequestId: expect.stringMatching(UUID),
    });
    const answer = await clients().scf.TerminateAsyncEvent({
      ...FUNCTION,
      InvokeRequestId: taskId,
      GraceShutdown: true,
    });
    expect(answer).toEqual({ RequestId: expect.stringMatching(UUID) });
    await untilStatus(taskId, "ABORTED", 499);

    const { EventList } = await clients().scf.ListAsyncEvents({ ...FUNCTION, InvokeRequestId: taskId });
    expect(EventList).toMatchObject([{ Status: "ABORTED", EndTime: expect.stringMatching(SCF_TIME) }]);
    const startedAtMs = Date.parse(`${EventList[0]?.StartTime.replace(" ", "T")}Z`) - CHINA_MS;
    expect(startedAtMs).toBeGreaterThanOrEqual(began - 1000);
    expect(startedAtMs).toBeLessThanOrEqual(Date.now() + 1000);

    const logs = await clients().scf.GetFunctionLogs({ ...FUNCTION, FunctionRequestId: taskId });
    expect(logs).toEqual({
      TotalCount: 1,
      Data: [
        {
          FunctionName: FUNCTION.FunctionName,
          RetMsg: "stopped by the user",
          RequestId: taskId,
          StartTime: EventList[0]?.StartTime,
          RetCode: 3,
          InvokeFinished: 1,
          Duration: expect.any(Number),
          BillDuration: 0,
          MemUsage: 0,
          Log: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z (debug|info|warn|error) ./),
          Level: "",
          Source: "",
          RetryNum: 0,
        },
      ],
      RequestId: expect.stringMatching(UUID),
    });
  });

  it("gives finished and failed events their status codes, and finds them by every filter of the listing", async () => {
    const finished = await invoke(system.stack.files.serve(clip));
    const failed = await invoke(system.stack.files.serve(clip, { name: "status", status: 404 }));
    await untilStatus(failed, "FAILED", 430);
    await untilStatus(finished, "FINISHED", 200);

    const list = async (filter: object) => {
      const { TotalCount, EventList } = await clients().scf.ListAsyncEvents({ ...FUNCTION, ...filter });
      return { TotalCount, ids: EventList.map(({ InvokeRequestId }) => InvokeRequestId) };
    };
    const both = { Status: ["FINISHED", "FAILED"] };
    expect(await list(both)).toEqual({ TotalCount: 2, ids: [failed, finished] });
    expect(await list({ ...both, Order: "ASC" })).toMatchObject({ ids: [finished, failed] });
    expect(await list({ ...both, Orderby: "EndTime" })).toMatchObject({ ids: [finished, failed] });
    expect(await list({ ...both, Limit: 1, Offset: 1 })).toEqual({ TotalCount: 2, ids: [finished] });
    expect(await list({ InvokeRequestId: failed, InvokeType: ["Event"] })).toMatchObject({ ids: [failed] });
    expect(await list({ ...both, InvokeType: ["RequestResponse"] })).toEqual({ TotalCount: 0, ids: [] });
    expect(await list({ ...both, Namespace: "default", Qualifier: "$LATEST" })).toMatchObject({ TotalCount: 2 });

    const { EventList } = await clients().scf.ListAsyncEvents({ ...FUNCTION, ...both, Order: "ASC" });
    const [first, second] = EventList;
    const between = { Start: first?.StartTime ?? "", End: second?.StartTime ?? "" };
    expect(await list({ ...both, StartTimeInterval: between })).toEqual({ TotalCount: 1, ids: [finished] });
    const ends = { Start: second?.EndTime ?? "", End: first?.EndTime ?? "" };
    expect(await list({ ...both, EndTimeInterval: ends })).toEqual({ TotalCount: 1, ids: [failed] });

    const logs = await clients().scf.GetFunctionLogs({ Filter: { RetCode: "not0" }, StartTime: between.Start });
    expect(logs).toMatchObject({
      TotalCount: 1,
      Data: [{ RequestId: failed, RetCode: 1, RetMsg: expect.stringMatching(/./) }],
    });
    const good = await clients().scf.GetFunctionLogs({ Filter: { RetCode: "is0" }, Order: "asc", OrderBy: "duration" });
    expect(good).toMatchObject({ TotalCount: 1, Data: [{ RequestId: finished, RetCode: 0, RetMsg: "" }] });
  });

  it("starts, describes, changes and stops an ingest", async () => {
    const request = await ingestRequest(system.stack.files.serve(longClip));
    const started = await clients().trtc.StartStreamIngest(request);
    expect(started).toEqual({ TaskId: expect.stringMatching(UUID), RequestId: expect.stringMatching(UUID) });
    const TaskId = started.TaskId ?? "";
    const ref = { SdkAppId: SDK_APP_ID, TaskId };
    expect(await ingestStatus(TaskId)).toBe("InProgress");
    await system.untilState({ taskId: TaskId }, "pushing");
    expect(await clients().trtc.UpdateStreamIngest({ ...ref, IsPause: true })).toEqual({
      Status: "InProgress",
      RequestId: expect.stringMatching(UUID),
    });
    await system.untilState({ taskId: TaskId }, "paused");
    const switched = { IsPause: false, StreamUrl: system.stack.files.serve(longClip), EnableProgress: false };
    expect(await clients().trtc.UpdateStreamIngest({ ...ref, ...switched })).toMatchObject({ Status: "InProgress" });
    const task = await system.untilState({ taskId: TaskId }, "pushing");
    expect(task.request).toMatchObject({ VideoSrc: switched.StreamUrl, RoomId: Number(request.RoomId), Mode: "vod" });
    expect(await clients().trtc.StopStreamIngest(ref)).toEqual({ RequestId: expect.stringMatching(UUID) });
    await vi.waitFor(async () => expect(await ingestStatus(TaskId)).toBe("NotExist"), { timeout: 30_000 });
    expect(await clients().trtc.UpdateStreamIngest({ ...ref, Volume: 50 })).toMatchObject({ Status: "NotExist" });
  });

  it("starts an ingest with every parameter", async () => {
    const { StreamUrl, ...rest } = await ingestRequest(system.stack.files.serve(longClip));
    const parameters = {
      SeekSecond: 2,
      RepeatNum: -1,
      MaxDuration: 10,
      Volume: 80,
      Tempo: 1.25,
      IdleTimeout: 30,
      VideoEncodeParams: { Width: 320, Height: 180, Fps: 15, BitRate: 300, Gop: 2 },
      AudioEncodeParams: { SampleRate: 48_000, Channel: 2, BitRate: 64, Volume: 100 },
    };
    const { TaskId = "" } = await clients().trtc.StartStreamIngest({
      ...rest,
      ...parameters,
      RoomId: "math_7b",
      RoomIdType: 0,
      SourceUrl: [StreamUrl],
      PrivateMapKey: "a key",
      AutoPush: false,
      EnableProgress: false,
    });
    const task = await system.stack.client.task(TaskId);
    expect(task.request).toMatchObject({ ...parameters, VideoSrc: StreamUrl, StrRoomId: "math_7b", Mode: "vod" });
    await clients().trtc.StopStreamIngest({ SdkAppId: SDK_APP_ID, TaskId });
    await system.untilEnded({ taskId: TaskId });
  });

  it("answers GET as it answers POST, with lists and numbers too", async () => {
    const { scf, trtc } = clients({ reqMethod: "GET" });
    const query = {
      FunctionName: "a function's name: (100%) 漢字 & more!",
      Status: ["FINISHED", "FAILED"],
      StartTimeInterval: { Start: "2026-01-01 00:00:00", End: "2096-01-01 00:00:00" },
      Limit: 1,
    };
    const [{ RequestId: _one, ...got }, { RequestId: _other, ...posted }] = await Promise.all([
      scf.ListAsyncEvents(query),
      clients().scf.ListAsyncEvents(query),
    ]);
    expect(got.TotalCount).toBeGreaterThan(0);
    expect(got).toEqual(posted);
    const described = await trtc.DescribeStreamIngest({ SdkAppId: SDK_APP_ID, TaskId: crypto.randomUUID() });
    expect(described).toMatchObject({ Status: "NotExist" });
    const wrong = trtc.StartStreamIngest({ ...(await ingestRequest("http://127.0.0.1/x")), Tempo: 9, RepeatNum: 0 });
    await expectRefused(wrong, "InvalidParameterValue", /^RepeatNum is invalid.*; Tempo is invalid/);
  });

  it("accepts any host name of the endpoint", async () => {
    const { scf } = clients({ endpoint: `localhost:${system.stack.edge.port}` });
    expect(await scf.ListAsyncEvents(FUNCTION)).toMatchObject({ TotalCount: expect.any(Number) });
  });

  it("refuses a wrong key, an unknown key, a token and an old signature method", async () => {
    const id = { InvokeRequestId: crypto.randomUUID() };
    const wrong = clients({ secretKey: "not the right one" }).scf;
    await expectRefused(wrong.GetAsyncEventStatus(id), "AuthFailure.SignatureFailure");
    const unknown = clients({ secretId: "AKIDunknown" }).scf;
    await expectRefused(unknown.GetAsyncEventStatus(id), "AuthFailure.SecretIdNotFound");
    const temporary = clients({ token: "a token" }).scf;
    await expectRefused(temporary.GetAsyncEventStatus(id), "AuthFailure.TokenFailure");
    const old = clients({ reqMethod: "GET", signMethod: "HmacSHA256" }).scf;
    await expectRefused(old.GetAsyncEventStatus(id), "AuthFailure.InvalidAuthorization");
  });

  it("refuses a call whose time is five minutes off", async () => {
    for (const offMs of [-301_000, 301_000]) {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + offMs });
      const call = clients().scf.GetAsyncEventStatus({ InvokeRequestId: crypto.randomUUID() });
      await expectRefused(call, "AuthFailure.SignatureExpire");
      vi.useRealTimers();
    }
  });

  it("refuses unknown actions, versions, events and tasks by name", async () => {
    const { scf, trtc } = clients();
    await expectRefused(scf.request("ListFunctions", {}), "InvalidAction", /Invoke, TerminateAsyncEvent/);
    await expectRefused(scf.request("StartStreamIngest", {}), "InvalidAction");
    scf.apiVersion = "2020-01-01";
    await expectRefused(scf.request("Invoke", {}), "NoSuchVersion", /2018-04-16 of scf or 2019-07-22 of trtc/);
    const unknown = { ...FUNCTION, InvokeRequestId: crypto.randomUUID() };
    await expectRefused(clients().scf.TerminateAsyncEvent(unknown), "ResourceNotFound.AsyncEvent");
    await expectRefused(trtc.StopStreamIngest({ SdkAppId: SDK_APP_ID, TaskId: "none" }), "ResourceNotFound");
  });

  it("names all wrong parameters in one error", async () => {
    const { scf, trtc } = clients();
    await expectRefused(scf.Invoke({ ...FUNCTION, ClientContext: "{}" }), "UnsupportedOperation", /"Event"/);
    const event = { ...FUNCTION, InvocationType: "Event" };
    await expectRefused(scf.Invoke({ ...event, ClientContext: "{" }), "InvalidParameterValue", /^ClientContext/);
    await expectRefused(scf.Invoke({ ...event, ClientContext: "{}" }), "MissingParameter", /VideoSrc.*UserSig.*RoomId/);
    await expectRefused(
      scf.request("ListAsyncEvents", { Limit: 101, Order: "UP", X: 1 }),
      "InvalidParameterValue",
      /FunctionName.*Order.*Limit.*X/,
    );
    const request = { ...(await ingestRequest("ftp://a.example/b")), RoomId: "x", EnableProgress: true };
    await expectRefused(trtc.StartStreamIngest(request), "InvalidParameterValue", /StreamUrl.*EnableProgress.*RoomId/);
    const sig = { ...(await ingestRequest("http://a.example/b")), UserSig: "garbage" };
    await expectRefused(trtc.StartStreamIngest(sig), "InvalidParameterValue", /UserSig/);
  });

  it("neither shows nor changes another application's pushes", async () => {
    const taskId = await invoke(system.stack.files.serve(longClip));
    const { scf, trtc } = clients(foreign);
    const id = { ...FUNCTION, InvokeRequestId: taskId };
    await expectRefused(scf.GetAsyncEventStatus({ InvokeRequestId: taskId }), "ResourceNotFound.AsyncEvent");
    await expectRefused(scf.TerminateAsyncEvent(id), "ResourceNotFound.AsyncEvent");
    expect(await scf.ListAsyncEvents(id)).toMatchObject({ TotalCount: 0, EventList: [] });
    expect(await scf.GetFunctionLogs({ FunctionRequestId: taskId })).toMatchObject({ TotalCount: 0, Data: [] });
    const own = { SdkAppId: OTHER_APP, TaskId: taskId };
    expect(await trtc.DescribeStreamIngest(own)).toMatchObject({ Status: "NotExist" });
    await expectRefused(trtc.StopStreamIngest(own), "ResourceNotFound");
    const others = { SdkAppId: SDK_APP_ID, TaskId: taskId };
    await expectRefused(trtc.DescribeStreamIngest(others), "AuthFailure.UnauthorizedOperation");
    await expectRefused(trtc.UpdateStreamIngest(others), "AuthFailure.UnauthorizedOperation");
    const start = trtc.StartStreamIngest(await ingestRequest(system.stack.files.serve(clip)));
    await expectRefused(start, "AuthFailure.UnauthorizedOperation");
    expect(await statusOf(taskId)).toMatchObject({ Status: "RUNNING" });
    await clients().scf.TerminateAsyncEvent(id);
    await untilStatus(taskId, "ABORTED", 499);
  });

  it("lets a viewer read and refuses the viewer's changes", async () => {
    const { scf, trtc } = clients(await newKeyPair("viewer", [SDK_APP_ID]));
    expect(await scf.ListAsyncEvents(FUNCTION)).toMatchObject({ TotalCount: expect.any(Number) });
    const start = trtc.StartStreamIngest(await ingestRequest(system.stack.files.serve(clip)));
    await expectRefused(start, "AuthFailure.UnauthorizedOperation", /viewer/);
  });

  it("leaves nothing behind after the calls of the other tests", () => system.expectIdle());

  it("refuses a caller who calls too often, and answers others", async () => {
    const secrets = newStackSecrets();
    const edge = await startEdge({ settings: { ...edgeSettings(secrets), RATE_LIMIT_PER_SECOND: "1" } });
    onTestFinished(() => edge.stop());
    const { secretId, secretKey } = secrets;
    const { scf } = clients({ secretId, secretKey, endpoint: `127.0.0.1:${edge.port}` });
    const calls = Array.from({ length: 30 }, () => scf.ListAsyncEvents(FUNCTION));
    const codes = (await Promise.allSettled(calls)).map((each) =>
      // SAFETY: the SDK rejects with an error that has a code; without one the comparison fails.
      each.status === "fulfilled" ? "" : (each.reason as { code?: string }).code,
    );
    expect(new Set(codes)).toEqual(new Set(["", "RequestLimitExceeded"]));
    expect(await scf.GetFunctionLogs({})).toMatchObject({ TotalCount: 0, Data: [] });
  });
});
