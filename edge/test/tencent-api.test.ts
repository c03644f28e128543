import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { APP, call, fresh, KEYED_APP, knowRegion, pushBody, RIVAL, userSig, view } from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";
import { callTencent, contentOf, type SignedCallOptions, signedRequest } from "./tencent-client.test-support.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function send(request: Request) {
  return contentOf(await exports.default.fetch(request));
}

async function refusal(action: string, parameters: object = {}, options: SignedCallOptions = {}) {
  const { Error: error, RequestId } = await callTencent(action, parameters, options);
  expect(RequestId).toMatch(UUID);
  return error;
}

describe("Tencent Cloud API", () => {
  it("answers every call with HTTP 200 and one envelope, even an error", async () => {
    const response = await exports.default.fetch(await signedRequest("Nonsense"));
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(await response.json()).toEqual({
      Response: {
        Error: { Code: "InvalidAction", Message: expect.stringContaining("expected Invoke, ") },
        RequestId: expect.stringMatching(UUID),
      },
    });
  });

  it("leaves a POST without X-TC-Action to the plain API and refuses such a GET", async () => {
    const plain = await call("/", { method: "POST", body: await pushBody(), headers: { "X-TC-Region": "ap-plain" } });
    expect(plain.headers.get("x-scf-reqid")).toMatch(UUID);
    const get = await call("/?Version=2018-04-16");
    expect([get.status, get.headers.get("allow")]).toEqual([405, "POST"]);
  });

  it("refuses a Bearer credential for a signed call", async () => {
    const response = await call("/", { method: "POST", body: {}, headers: { "X-TC-Action": "Invoke" } });
    // The timestamp of the signature is checked first.
    expect(await contentOf(response)).toMatchObject({ Error: { Code: "MissingParameter" } });
    const timed = { "X-TC-Action": "Invoke", "X-TC-Timestamp": String(Math.floor(Date.now() / 1000)) };
    const again = await call("/", { method: "POST", body: {}, headers: timed });
    expect(await contentOf(again)).toMatchObject({ Error: { Code: "AuthFailure.InvalidAuthorization" } });
  });

  it("accepts the common parameters of a GET in its query instead of in headers", async () => {
    const timestampS = Math.floor(Date.now() / 1000);
    const query = `Action=ListAsyncEvents&Version=2018-04-16&Timestamp=${timestampS}&Region=ap-guangzhou&FunctionName=push&Limit=1`;
    const left = { "X-TC-Action": null, "X-TC-Version": null, "X-TC-Timestamp": null };
    const request = await signedRequest("ListAsyncEvents", { method: "GET", query, timestampS, headers: left });
    expect(await send(request)).toMatchObject({ TotalCount: expect.any(Number), EventList: expect.any(Array) });
  });

  it.each<[string, string, SignedCallOptions]>([
    ["no version", "MissingParameter", { headers: { "X-TC-Version": null } }],
    ["an unknown version", "NoSuchVersion", { headers: { "X-TC-Version": "2020-01-01" } }],
    ["a version of the other service", "NoSuchVersion", { headers: { "X-TC-Version": "2019-07-22" } }],
    ["an action of the other service", "InvalidAction", { service: "trtc" }],
    [
      "an action with the name of an inherited property",
      "InvalidAction",
      { headers: { "X-TC-Action": "constructor" } },
    ],
    ["a body that is not JSON", "InvalidParameter", { body: "{" }],
    ["a body that is not an object", "InvalidParameterValue", { body: "[]" }],
    ["an empty body", "MissingParameter", { body: "" }],
    ["a body over 64 KiB", "RequestSizeLimitExceeded", { body: JSON.stringify({ FunctionName: "x".repeat(70_000) }) }],
    ["a region that is not a name", "InvalidParameterValue", { headers: { "X-TC-Region": "?" } }],
  ])("refuses a call with %s", async (_what, code, options) => {
    const ClientContext = JSON.stringify(await pushBody());
    const parameters = { FunctionName: "push", InvocationType: "Event", ClientContext };
    expect(await refusal("Invoke", parameters, options)).toMatchObject({ Code: code });
  });

  it("uses the region of the call as the region of the push", async () => {
    const region = fresh("ap");
    await knowRegion(region);
    const parameters = {
      FunctionName: "push",
      InvocationType: "Event",
      ClientContext: JSON.stringify(await pushBody()),
    };
    const { Result } = await callTencent("Invoke", parameters, { headers: { "X-TC-Region": region } });
    // SAFETY: this is the form of Invoke's answer.
    const { FunctionRequestId } = Result as { FunctionRequestId: string };
    expect(await view(FunctionRequestId)).toMatchObject({ region, status: "RUNNING" });
  });

  it.each([
    [false, "now"],
    [true, "tidy"],
  ])("stops the push with GraceShutdown=%s as how=%s", async (GraceShutdown, how) => {
    const { worker, taskId } = await running();
    const parameters = { FunctionName: "push", InvokeRequestId: taskId.toUpperCase(), GraceShutdown };
    expect((await callTencent("TerminateAsyncEvent", parameters)).Error).toBeUndefined();
    expect(await worker.next("stop")).toMatchObject({ taskId, how });
  });

  it("changes a running push with UpdateStreamIngest and returns the worker's refusal", async () => {
    const { worker, taskId } = await running();
    const ref = { SdkAppId: APP, TaskId: taskId };
    const VideoSrc = "https://media.example/next.mp4";
    const changing = callTencent(
      "UpdateStreamIngest",
      { ...ref, StreamUrl: VideoSrc, Volume: 50, Tempo: 0.5 },
      { service: "trtc" },
    );
    const update = await worker.next("update");
    expect(update.change).toEqual({ VideoSrc, Volume: 50, Tempo: 0.5 });
    worker.updated(update);
    expect(await changing).toMatchObject({ Status: "InProgress" });

    const pausing = callTencent("UpdateStreamIngest", { ...ref, IsPause: true }, { service: "trtc" });
    const second = await worker.next("update", ({ change }) => change.IsPause === true);
    worker.updated(second, { code: "FailedOperation.SourceLost", message: "The source is gone.", retryable: true });
    expect((await pausing).Error).toEqual({ Code: "FailedOperation", Message: "The source is gone." });

    const nothing = await callTencent("UpdateStreamIngest", { ...ref, EnableProgress: false }, { service: "trtc" });
    expect(nothing).toMatchObject({ Status: "InProgress" });
    const wrong = { ...ref, IsPause: "yes", Volume: 300, EnableProgress: true, VideoSrc };
    expect(await refusal("UpdateStreamIngest", wrong, { service: "trtc" })).toMatchObject({
      Code: "InvalidParameterValue",
      Message: expect.stringMatching(/Volume.*IsPause.*EnableProgress.*VideoSrc is not a known parameter/),
    });
  });

  it("does not find a task under another application of the same credential", async () => {
    const { taskId } = await running();
    const other = { SdkAppId: KEYED_APP, TaskId: taskId };
    expect(await callTencent("DescribeStreamIngest", other, { service: "trtc" })).toMatchObject({ Status: "NotExist" });
    expect(await refusal("StopStreamIngest", other, { service: "trtc" })).toMatchObject({ Code: "ResourceNotFound" });
  });

  it("neither shows nor ends another application's task with SCF's actions", async () => {
    const { taskId } = await running();
    const names = { FunctionName: "push", Namespace: "default" };
    for (const [action, parameters] of [
      ["TerminateAsyncEvent", { ...names, InvokeRequestId: taskId }],
      ["GetAsyncEventStatus", { InvokeRequestId: taskId }],
    ] as const) {
      expect([action, await refusal(action, parameters, { as: RIVAL })]).toMatchObject([
        action,
        { Code: expect.stringContaining("ResourceNotFound") },
      ]);
    }
    const logs = await callTencent("GetFunctionLogs", { ...names, FunctionRequestId: taskId }, { as: RIVAL });
    expect(logs).toMatchObject({ TotalCount: 0, Data: [] });
    const listed = await callTencent("ListAsyncEvents", { ...names, InvokeRequestId: taskId }, { as: RIVAL });
    expect(listed).toMatchObject({ TotalCount: 0, EventList: [] });
    expect(await view(taskId)).toMatchObject({ state: "pushing" });
  });

  it("refuses a UserSig of another user as a wrong parameter", async () => {
    const parameters = {
      SdkAppId: APP,
      RoomId: "42",
      UserId: "robot",
      UserSig: await userSig({ userId: "somebody-else" }),
      StreamUrl: "https://media.example/lesson.mp4",
    };
    expect(await refusal("StartStreamIngest", parameters, { service: "trtc" })).toMatchObject({
      Code: "InvalidParameterValue",
      Message: expect.stringContaining("UserSig"),
    });
    const foreign = await refusal("StartStreamIngest", parameters, { service: "trtc", as: RIVAL });
    expect(foreign).toMatchObject({ Code: "AuthFailure.UnauthorizedOperation" });
  });

  it.each(["StartStreamIngest", "Invoke"])("starts no second push when a signed %s is sent again", async (action) => {
    const { Region: _region, VideoSrc, StrRoomId, ...same } = await pushBody();
    const ingest = { ...same, StreamUrl: VideoSrc, RoomId: StrRoomId, RoomIdType: 0 };
    const invoked = { ...same, VideoSrc, StrRoomId };
    const context = { FunctionName: "push", InvocationType: "Event", ClientContext: JSON.stringify(invoked) };
    const isInvoke = action === "Invoke";
    const signed = await signedRequest(action, {
      service: isInvoke ? "scf" : "trtc",
      body: JSON.stringify(isInvoke ? context : ingest),
    });
    const taskIdOf = async (request: Request) => {
      const { TaskId, Result } = await send(request);
      return TaskId ?? Reflect.get(Object(Result), "FunctionRequestId");
    };
    const taskId = await taskIdOf(signed.clone());
    expect(taskId).toMatch(UUID);
    expect(await taskIdOf(signed.clone())).toBe(taskId);
    const later = await signedRequest(action, {
      service: isInvoke ? "scf" : "trtc",
      body: JSON.stringify(isInvoke ? context : ingest),
      timestampS: Math.floor(Date.now() / 1000) - 5,
    });
    expect(await taskIdOf(later)).not.toBe(taskId);
  });
});
