import { createExecutionContext, env } from "cloudflare:test";
import type { TaskList } from "@roomcast/shared";
import { describe, expect, it, vi } from "vitest";
import { app } from "../src/app.ts";
import { Region } from "../src/objects/region/region.ts";
import {
  ADMIN,
  APP,
  call,
  fresh,
  KEYED_APP,
  KEYED_APP_SECRET,
  knowRegion,
  pushBody,
  RIVAL,
  SCHOOL,
  start,
  userSig,
  view,
  WATCHER,
} from "./fixtures.test-support.ts";

interface ErrorAnswer {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly requestId: string;
    readonly fields?: readonly { readonly field: string; readonly problem: string; readonly expected: string }[];
  };
}

async function errorOf(response: Response): Promise<ErrorAnswer["error"] & { status: number }> {
  const { error } = await response.json<ErrorAnswer>();
  expect(response.headers.get("x-request-id")).toBe(error.requestId);
  return { ...error, status: response.status };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function regionOf(body: Record<string, unknown>, headers: Record<string, string> = {}): Promise<string> {
  return (await view(await start(body, { headers }))).region;
}

async function list(query: string): Promise<TaskList> {
  return (await call(`/v1/tasks${query}`, { as: RIVAL })).json();
}

describe("HTTP API", () => {
  it.each(["/", "/push"])("answers POST %s as the cloud function did", async (path) => {
    const response = await call(path, { method: "POST", body: await pushBody() });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("Async run task submitted");
    expect(response.headers.get("content-type")).toContain("text/plain");
    expect(response.headers.get("x-scf-reqid")).toMatch(UUID);
  });

  it("answers GET /healthz without a credential", async () => {
    const response = await call("/healthz", { as: null });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
  });

  it("names all wrong fields of a request at once with what was expected, without repeating a value", async () => {
    const body = {
      ...(await pushBody({ VideoSrc: "ftp://secret-host/x", SdkAppId: "1400000001", Redis: true, Extra: 1 })),
      UserSig: undefined,
    };
    const response = await call("/", { method: "POST", body });
    const text = await response.clone().text();
    const { status, code, fields } = await errorOf(response);
    expect({ status, code }).toEqual({ status: 400, code: "InvalidParameterValue" });
    expect(fields?.map(({ field, problem }) => `${field} ${problem}`).toSorted()).toEqual([
      "Extra unknown",
      "RedisHost missing",
      "SdkAppId invalid",
      "UserSig missing",
      "VideoSrc invalid",
    ]);
    expect(text).not.toContain("secret-host");
  });

  it.each([null, ""])("treats optional fields that are %j as missing", async (none) => {
    const optional = { Mode: none, Redis: none, RedisHost: none, RoomId: none, Volume: none, Region: none };
    const taskId = await start(await pushBody({ ...optional, VideoEncodeParams: { Width: none, Height: 720 } }));
    const { request } = await view(taskId);
    expect(request).toMatchObject({ Mode: "vod", Redis: false, VideoEncodeParams: { Height: 720 } });
    expect(Object.keys(request)).not.toEqual(expect.arrayContaining(["Volume"]));
    const change = await call(`/v1/tasks/${taskId}`, { method: "PATCH", body: { Volume: 50, Tempo: none } });
    expect(change.status).toBe(200);
    const nothing = await call(`/v1/tasks/${taskId}`, { method: "PATCH", body: { Tempo: none } });
    expect((await errorOf(nothing)).message).toContain("at least one of");
  });

  it("explains that a quoted number or boolean is a text, without repeating it", async () => {
    const wrong = { SdkAppId: "1400000001", RoomId: "1001", Redis: "true" };
    const { status, message, fields } = await errorOf(
      await call("/", { method: "POST", body: { ...(await pushBody()), ...wrong } }),
    );
    expect(status).toBe(400);
    expect(fields?.map(({ field }) => field).toSorted()).toEqual(Object.keys(wrong).toSorted());
    for (const { expected } of fields ?? []) expect(expected).toContain("not a text: write it without quotes");
    expect(message).not.toContain("1001");
  });

  it.each([
    ["a missing field", { UserId: undefined }, "MissingParameter", 400],
    ["an unknown field", { Loudness: 100 }, "UnknownParameter", 400],
    ["no room", { StrRoomId: undefined }, "MissingParameter", 400],
    ["a mistyped field", { RoomId: "42" }, "InvalidParameterValue", 400],
    ["an unknown mode", { Mode: "loop" }, "InvalidParameterValue", 400],
    ["a region that is not a name", { Region: "Guangzhou!" }, "InvalidParameterValue", 400],
  ])("refuses a request with %s", async (_what, wrong, code, status) => {
    const response = await call("/", { method: "POST", body: { ...(await pushBody()), ...wrong } });
    expect(await errorOf(response)).toMatchObject({ code, status });
  });

  it.each([
    ["not JSON", "{not json"],
    ["empty", ""],
    ["truncated JSON", '{"VideoSrc":'],
  ])("refuses a body that is %s", async (_what, body) => {
    expect(await errorOf(await call("/", { method: "POST", body }))).toMatchObject({
      code: "InvalidParameter",
      status: 400,
    });
  });

  it.each(["[]", "null", '"text"', "7"])("refuses the JSON %s because it is not an object", async (body) => {
    const { status, fields } = await errorOf(await call("/", { method: "POST", body }));
    expect(status).toBe(400);
    expect(fields?.[0]).toMatchObject({ field: "(body)", expected: "a JSON object" });
  });

  it("refuses a body over 64 KiB, with or without a Content-Length", async () => {
    const long = JSON.stringify({ ...(await pushBody()), StrRoomId: "x".repeat(65 * 1024) });
    const declared = await call("/", { method: "POST", body: long });
    expect(await errorOf(declared)).toMatchObject({ code: "RequestSizeLimitExceeded", status: 413 });

    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const writing = writer.write(new TextEncoder().encode(long)).then(() => writer.close());
    const request = new Request("http://edge/", {
      method: "POST",
      headers: { Authorization: `Bearer ${SCHOOL}` },
      body: readable,
    });
    expect(request.headers.get("content-length")).toBeNull();
    const [response] = await Promise.all([
      app.fetch(request, env, createExecutionContext()),
      writing.catch(() => "cut"),
    ]);
    expect(await errorOf(response)).toMatchObject({ code: "RequestSizeLimitExceeded", status: 413 });
  });

  it.each<[string, Record<string, string>]>([
    ["with", { "Content-Length": "4" }],
    ["without", {}],
  ])("refuses bytes that are not UTF-8 %s a Content-Length", async (_how, length) => {
    const request = new Request("http://edge/", {
      method: "POST",
      headers: { Authorization: `Bearer ${SCHOOL}`, ...length },
      body: new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]),
    });
    expect(request.headers.get("Content-Length")).toBe(length["Content-Length"] ?? null);
    const response = await app.fetch(request, env, createExecutionContext());
    expect(await errorOf(response)).toMatchObject({ code: "InvalidParameter", status: 400 });
  });

  it.each([
    ["expired", { UserSig: userSig({ nowMs: Date.now() - 100_000_000 }) }, "AuthFailure.UserSigExpired"],
    ["for another user", { UserSig: userSig({ userId: "student" }) }, "AuthFailure.InvalidUserSig"],
    ["for another app", { UserSig: userSig({ sdkAppId: 5 }) }, "AuthFailure.InvalidUserSig"],
    ["garbage", { UserSig: Promise.resolve("eJwtzNEKgjAYhuF7+Y") }, "AuthFailure.InvalidUserSig"],
    [
      "signed with another key where the key is known",
      { SdkAppId: KEYED_APP, UserSig: userSig({ sdkAppId: KEYED_APP, secretKey: "wrong" }) },
      "AuthFailure.InvalidUserSig",
    ],
  ])("refuses a UserSig that is %s before anything starts", async (_what, { UserSig, ...rest }, code) => {
    const signature = await UserSig;
    const response = await call("/", { method: "POST", body: await pushBody({ ...rest, UserSig: signature }) });
    const text = await response.clone().text();
    expect(await errorOf(response)).toMatchObject({ code, status: 403 });
    expect(text).not.toContain(signature);
  });

  it("accepts a UserSig that is signed with the application's SecretKey", async () => {
    const UserSig = await userSig({ sdkAppId: KEYED_APP, secretKey: KEYED_APP_SECRET });
    await expect(start(await pushBody({ SdkAppId: KEYED_APP, UserSig }))).resolves.toMatch(UUID);
  });

  it.each([
    ["missing", null, "AuthFailure.InvalidAuthorization", 401],
    ["of an unknown id", "nobody.nothing-at-all", "AuthFailure.InvalidAuthorization", 401],
    ["with a wrong key", "school.wrong-secret-key", "AuthFailure.InvalidAuthorization", 401],
    ["without a dot", "school", "AuthFailure.InvalidAuthorization", 401],
    ["of a viewer", WATCHER, "AuthFailure.UnauthorizedOperation", 403],
    ["for other applications", RIVAL, "AuthFailure.UnauthorizedOperation", 403],
  ])("starts nothing for a credential that is %s", async (_what, as, code, status) => {
    const response = await call("/", { method: "POST", as, body: await pushBody() });
    expect(await errorOf(response)).toMatchObject({ code, status });
  });

  it("refuses authorization schemes other than Bearer", async () => {
    const response = await call("/v1/tasks", { as: null, headers: { Authorization: "Basic c2Nob29sOng=" } });
    expect(await errorOf(response)).toMatchObject({ code: "AuthFailure.InvalidAuthorization", status: 401 });
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
  });

  it("answers for a task of another application as for an unknown task", async () => {
    const taskId = await start(await pushBody());
    for (const [path, method] of [
      [`/v1/tasks/${taskId}`, "GET"],
      [`/v1/tasks/${taskId}/logs`, "GET"],
      [`/v1/tasks/${taskId}`, "DELETE"],
    ] as const) {
      const foreign = await errorOf(await call(path, { method, as: RIVAL }));
      const absent = await errorOf(await call(path.replace(taskId, crypto.randomUUID()), { method, as: RIVAL }));
      expect(foreign).toMatchObject({ code: "ResourceNotFound.Task", status: 404 });
      expect(foreign.message).toBe(absent.message);
    }
    expect((await call(`/v1/tasks/${taskId}`, { as: WATCHER })).status).toBe(200);
  });

  it("lets a viewer read a task but not stop it", async () => {
    const taskId = await start(await pushBody());
    const response = await call(`/v1/tasks/${taskId}`, { method: "DELETE", as: WATCHER });
    expect(await errorOf(response)).toMatchObject({ code: "AuthFailure.UnauthorizedOperation", status: 403 });
  });

  it.each([
    ["GET", "/nowhere", "ResourceNotFound.Route", 404],
    ["GET", "/v1/tasks/not-a-uuid", "ResourceNotFound.Task", 404],
    ["PUT", "/v1/tasks", "UnsupportedOperation", 405],
    ["GET", "/", "UnsupportedOperation", 405],
    ["POST", "/v1/workers", "UnsupportedOperation", 405],
  ])("answers %s %s with the error %s", async (method, path, code, status) => {
    const response = await call(path, { method });
    expect(await errorOf(response)).toMatchObject({ code, status });
    expect(response.headers.has("allow")).toBe(status === 405);
  });

  it("names wrong query parameters of a stop and of a list", async () => {
    const taskId = await start(await pushBody());
    const stop = await errorOf(await call(`/v1/tasks/${taskId}?how=gently`, { method: "DELETE" }));
    expect(stop).toMatchObject({ status: 400, fields: [{ field: "how", expected: '"now" or "tidy"' }] });
    const listing = await errorOf(await call("/v1/tasks?limit=0&offset=x&Status=RUNNING"));
    expect(listing.fields?.map(({ field }) => field).toSorted()).toEqual(["Status", "limit", "offset"]);
  });

  it("returns the same task for a repeated request with its Idempotency-Key and refuses another request with that key", async () => {
    const key = { "Idempotency-Key": fresh("key") };
    const body = await pushBody();
    const [first, second] = await Promise.all([start(body, { headers: key }), start(body, { headers: key })]);
    expect(second).toBe(first);
    const reordered = Object.fromEntries(Object.entries(body).toReversed());
    expect(await start(reordered, { headers: key })).toBe(first);
    const other = await call("/", { method: "POST", headers: key, body: { ...body, UserId: "teacher", Mode: "live" } });
    expect(await errorOf(other)).toMatchObject({ code: "ResourceInUse.IdempotencyKey", status: 409 });
    expect(await start(body, { headers: key, as: ADMIN })).not.toBe(first);
  });

  it("takes the region from the request, then the header, then the configuration", async () => {
    const [inField, inHeader] = [fresh("ap"), fresh("ap")];
    await knowRegion(inHeader);
    const header = { "X-TC-Region": inHeader };
    expect(await regionOf(await pushBody({ Region: inField }), header)).toBe(inField);
    expect(await regionOf(await pushBody(), header)).toBe(inHeader);
    expect(await regionOf(await pushBody())).toBe("ap-default");
    const wrong = await call("/", { method: "POST", headers: { "X-TC-Region": "?" }, body: await pushBody() });
    expect(await errorOf(wrong)).toMatchObject({ code: "InvalidParameterValue", fields: [{ field: "X-TC-Region" }] });
  });

  it("refuses a push for an unknown region with the names of the known ones and creates no object for it", async () => {
    const reserve = vi.spyOn(Region.prototype, "reserve");
    const region = fresh("ap");
    await knowRegion("ap-known");
    const refused = await call("/", { method: "POST", body: { ...(await pushBody()), Region: region } });
    expect(refused.status).toBe(400);
    expect(await errorOf(refused)).toMatchObject({
      code: "InvalidParameterValue",
      fields: [{ field: "Region", expected: expect.stringMatching(/^one of the known regions: \S+, /) }],
    });
    expect(await regionOf(await pushBody(), { "X-TC-Region": region })).toBe("ap-default");
    expect(reserve.mock.calls.filter(([wanted]) => wanted.region === region)).toEqual([]);
    reserve.mockRestore();
  });

  it("lists tasks in pages and filters them by status, room and application", async () => {
    const rivalApp = 1_400_000_009;
    const ids: string[] = [];
    const StrRoomId = fresh("room").replace("-", "_");
    for (let n = 0; n < 3; n += 1) {
      const body = await pushBody({
        SdkAppId: rivalApp,
        UserId: `teacher_${n}`,
        UserSig: await userSig({ sdkAppId: rivalApp, userId: `teacher_${n}` }),
        StrRoomId,
      });
      ids.push(await start(body, { as: RIVAL }));
    }
    const all = await list("");
    expect(all.total).toBe(3);
    expect(all.tasks.map(({ taskId }) => taskId).toSorted()).toEqual(ids.toSorted());
    const pages = [...(await list("?limit=2")).tasks, ...(await list("?limit=2&offset=2")).tasks];
    expect(pages).toEqual(all.tasks);
    expect((await list("?status=FINISHED")).total).toBe(0);
    expect((await list(`?status=RUNNING&SdkAppId=${rivalApp}`)).total).toBe(3);
    expect(await errorOf(await call(`/v1/tasks?SdkAppId=${APP}`, { as: RIVAL }))).toMatchObject({ status: 403 });
    const everything = await (await call(`/v1/tasks?room=${StrRoomId}`, { as: ADMIN })).json<{
      tasks: { taskId: string }[];
    }>();
    expect(everything.tasks).toEqual(all.tasks);
  });

  it("names missing and malformed variables when the edge is not configured, but never their values", async () => {
    // SAFETY: an environment is a plain record of its bindings.
    const { SEAL_KEY: _gone, ...rest } = env as unknown as Record<string, unknown>;
    const broken = { ...rest, WORKER_TOKEN_KEY: "too-short-secret" };
    const response = await app.fetch(new Request("http://edge/healthz"), broken, createExecutionContext());
    const { status, code, message } = await errorOf(response);
    expect({ status, code }).toEqual({ status: 500, code: "InternalError" });
    expect(message).toContain("SEAL_KEY is missing");
    expect(message).toContain("wrangler secret put SEAL_KEY");
    expect(message).toContain("WORKER_TOKEN_KEY is malformed");
    expect(message).not.toContain("too-short-secret");
  });
});
