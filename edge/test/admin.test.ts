import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import type {
  AuditList,
  CredentialList,
  FieldProblem,
  NewCredential,
  NewWorkerToken,
  WorkerTokenList,
} from "@roomcast/shared";
import { mintWorkerToken } from "@roomcast/shared";
import { describe, expect, it, onTestFinished } from "vitest";
import { seal, unseal } from "../src/base/seal.ts";
import { forgetKeyring } from "../src/caches/keyring-cache.ts";
import { KEYRING } from "../src/contracts/keyring-object.ts";
import { credentialSubject } from "../src/model/seal-subject.ts";
import { FakeWorker } from "./fake-worker.test-support.ts";
import {
  ADMIN,
  APP,
  call,
  fresh,
  KEYED_APP,
  pushBody,
  SCHOOL,
  SEAL_KEYS,
  WATCHER,
  WORKER_TOKEN_KEY,
} from "./fixtures.test-support.ts";

const keyring = () => env.KEYRING.getByName(KEYRING);

async function add(body: Record<string, unknown>, as = ADMIN): Promise<NewCredential & { pair: string }> {
  const response = await call("/v1/credentials", { method: "POST", as, body });
  expect(response.status).toBe(201);
  const credential = await response.json<NewCredential>();
  return { ...credential, pair: `${credential.secretId}.${credential.secretKey}` };
}

async function statusOf(as: string, path = "/v1/tasks"): Promise<number> {
  const response = await call(path, { as });
  await response.text();
  return response.status;
}

async function codeOf(response: Response): Promise<string> {
  return (await response.json<{ error: { code: string } }>()).error.code;
}

async function audit(as = ADMIN): Promise<AuditList["lines"]> {
  return (await (await call("/v1/audit?limit=1000", { as })).json<AuditList>()).lines;
}

async function dial(token: string, region: string): Promise<Response> {
  return exports.default.fetch(`http://edge/v1/fleet/connect?region=${region}`, {
    headers: { Upgrade: "websocket", Authorization: `Bearer ${token}` },
  });
}

describe("Admin API", () => {
  it("adds a credential that works at once, within its role and applications", async () => {
    const viewer = await add({ sdkAppIds: [APP], role: "viewer", note: "the class of 7b" });
    expect(viewer).toMatchObject({ role: "viewer", sdkAppIds: [APP], source: "keyring", createdBy: "admin" });
    expect(await statusOf(viewer.pair)).toBe(200);
    expect(await statusOf(viewer.pair, `/v1/tasks?SdkAppId=${KEYED_APP}`)).toBe(403);
    expect((await call("/", { method: "POST", as: viewer.pair, body: await pushBody() })).status).toBe(403);
  });

  it("shows a SecretKey only when it is created and stores it only sealed", async () => {
    const { secretId, secretKey } = await add({ sdkAppIds: "*", role: "operator" });
    const list = await (await call("/v1/credentials", { as: ADMIN })).text();
    expect(list).toContain(secretId);
    expect(list).not.toContain(secretKey);
    expect(list).not.toContain("admin-secret-key");
    const stored = await runInDurableObject(keyring(), (_object, { storage }) =>
      JSON.stringify(["credential", "audit"].map((table) => storage.sql.exec(`SELECT * FROM ${table}`).toArray())),
    );
    expect(stored).toContain(secretId);
    expect(stored).not.toContain(secretKey);
  });

  it("rotates a key: the old key stays valid for the overlap, or ends at once when there is no overlap", async () => {
    const first = await add({ sdkAppIds: [APP], role: "viewer" });
    const rotate = async (overlapS: number) => {
      const response = await call(`/v1/credentials/${first.secretId}/rotate`, {
        method: "POST",
        as: ADMIN,
        body: { overlapS },
      });
      const { secretKey, keys } = await response.json<NewCredential>();
      return { pair: `${first.secretId}.${secretKey}`, keys };
    };
    const second = await rotate(3600);
    expect(second.keys.map(({ validUntil }) => validUntil === null)).toEqual([true, false]);
    expect([await statusOf(first.pair), await statusOf(second.pair)]).toEqual([200, 200]);
    const third = await rotate(0);
    expect([await statusOf(first.pair), await statusOf(second.pair), await statusOf(third.pair)]).toEqual([
      401, 401, 200,
    ]);
  });

  it("refuses a credential after it was revoked", async () => {
    const { secretId, pair } = await add({ sdkAppIds: "*", role: "admin" });
    expect(await statusOf(pair, "/v1/credentials")).toBe(200);
    expect((await call(`/v1/credentials/${secretId}`, { method: "DELETE", as: ADMIN })).status).toBe(204);
    expect(await statusOf(pair)).toBe(401);
    expect(await codeOf(await call(`/v1/credentials/${secretId}`, { method: "DELETE", as: ADMIN }))).toBe(
      "ResourceNotFound.Credential",
    );
  });

  it("lists the credentials of CREDENTIALS as read-only and hides them from admins of other applications", async () => {
    const { credentials } = await (await call("/v1/credentials", { as: ADMIN })).json<CredentialList>();
    expect(credentials.find(({ secretId }) => secretId === "school")).toMatchObject({ source: "secret", keys: [] });
    for (const [method, path] of [
      ["DELETE", "/v1/credentials/school"],
      ["POST", "/v1/credentials/school/rotate"],
    ] as const) {
      expect(await codeOf(await call(path, { method, as: ADMIN }))).toBe("UnsupportedOperation");
      const ofAnotherApp = await add({ sdkAppIds: [KEYED_APP], role: "admin" });
      expect(await codeOf(await call(path, { method, as: ofAnotherApp.pair }))).toBe("ResourceNotFound.Credential");
    }
  });

  it("limits an admin of some applications to credentials of those applications", async () => {
    const limited = await add({ sdkAppIds: [APP], role: "admin" });
    const wider = await add({ sdkAppIds: [APP, KEYED_APP], role: "viewer" });
    const all = await add({ sdkAppIds: "*", role: "viewer" });
    for (const sdkAppIds of ["*", [KEYED_APP], [APP, KEYED_APP]]) {
      const response = await call("/v1/credentials", {
        method: "POST",
        as: limited.pair,
        body: { sdkAppIds, role: "viewer" },
      });
      expect(await codeOf(response)).toBe("AuthFailure.UnauthorizedOperation");
    }
    const own = await add({ sdkAppIds: [APP], role: "operator" }, limited.pair);
    const { credentials } = await (await call("/v1/credentials", { as: limited.pair })).json<CredentialList>();
    const seen = credentials.map(({ secretId }) => secretId);
    expect(seen).toEqual(expect.arrayContaining([limited.secretId, own.secretId]));
    for (const hidden of [wider.secretId, all.secretId, "admin", "school"]) expect(seen).not.toContain(hidden);
    for (const { secretId } of [wider, all]) {
      const revoke = await call(`/v1/credentials/${secretId}`, { method: "DELETE", as: limited.pair });
      const rotate = await call(`/v1/credentials/${secretId}/rotate`, { method: "POST", as: limited.pair });
      expect([revoke.status, rotate.status]).toEqual([404, 404]);
    }
    expect([await statusOf(wider.pair), await statusOf(all.pair)]).toEqual([200, 200]);
    // A worker receives the requests of all applications.
    for (const method of ["GET", "POST"]) {
      const body = method === "POST" ? { workerId: "w", regions: ["ap-a"] } : undefined;
      expect((await call("/v1/worker-tokens", { method, as: limited.pair, body })).status).toBe(403);
    }
  });

  it.each([
    ["GET", "/v1/credentials"],
    ["POST", "/v1/credentials"],
    ["POST", "/v1/credentials/x/rotate"],
    ["DELETE", "/v1/credentials/x"],
    ["GET", "/v1/worker-tokens"],
    ["POST", "/v1/worker-tokens"],
    ["DELETE", "/v1/worker-tokens/x"],
    ["GET", `/v1/callbacks/${APP}`],
    ["PUT", `/v1/callbacks/${APP}`],
    ["DELETE", `/v1/callbacks/${APP}`],
    ["GET", "/v1/audit"],
  ])("refuses %s %s to callers who are not admins", async (method, path) => {
    const answers = await Promise.all([SCHOOL, WATCHER].map((as) => call(path, { method, as })));
    expect(answers.map(({ status }) => status)).toEqual([403, 403]);
    const nobody = await call(path, { method, as: null });
    expect(nobody.status).toBe(401);
  });

  it.each([
    ["no role", { sdkAppIds: "*" }],
    ["an unknown role", { sdkAppIds: "*", role: "root" }],
    ["no application", { sdkAppIds: [], role: "viewer" }],
    ["an application that is a text", { sdkAppIds: ["1"], role: "viewer" }],
    ["a SecretId chosen by the caller", { sdkAppIds: "*", role: "viewer", secretId: "mine" }],
    ["an application number that is out of range", { sdkAppIds: [0], role: "viewer" }],
  ])("does not add a credential with %s and explains why in its own words", async (_what, body) => {
    const answer = await call("/v1/credentials", { method: "POST", as: ADMIN, body });
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toMatch(/Too (small|big)|Invalid input/);
  });

  it("mints a worker token that connects a worker, and closes the worker's socket when the token is revoked", async () => {
    const workerId = fresh("worker");
    const region = fresh("ap");
    const mint = async () => {
      const response = await call("/v1/worker-tokens", {
        method: "POST",
        as: ADMIN,
        body: { workerId, regions: [region], lifetimeS: 600 },
      });
      return response.json<NewWorkerToken>();
    };
    const { token, tokenId } = await mint();
    const signedElsewhere = await mintWorkerToken({
      workerId,
      regions: [region],
      key: WORKER_TOKEN_KEY,
      lifetimeS: 600,
    });
    const response = await dial(token, region);
    if (response.webSocket === null) throw new Error(`no socket: ${response.status}`);
    const worker = new FakeWorker(response.webSocket, crypto.randomUUID());
    onTestFinished(() => worker.close());
    worker.hello({ workerId, region });
    await worker.next("welcome");

    expect((await call(`/v1/worker-tokens/${workerId}`, { method: "DELETE", as: ADMIN })).status).toBe(204);
    expect(await worker.end()).toMatchObject({ code: 4401 });
    for (const old of [token, signedElsewhere])
      expect(await codeOf(await dial(old, region))).toBe("AuthFailure.InvalidWorkerToken");

    const again = await mint();
    const list = await (await call("/v1/worker-tokens", { as: ADMIN })).json<WorkerTokenList>();
    expect(list.revoked.map((revoked) => revoked.workerId)).toContain(workerId);
    expect(list.tokens.filter((known) => known.workerId === workerId).map((known) => known.tokenId)).toEqual([
      again.tokenId,
    ]);
    expect(again.tokenId).not.toBe(tokenId);
    const back = await dial(again.token, region);
    expect(back.status).toBe(101);
    back.webSocket?.accept();
    back.webSocket?.close(1000, "done");
  });

  it("writes every change without secrets to the audit log, which admins of its applications can read", async () => {
    const limited = await add({ sdkAppIds: [APP], role: "admin" });
    const { secretId, secretKey } = await add({ sdkAppIds: [KEYED_APP], role: "viewer" });
    await (
      await call(`/v1/credentials/${secretId}/rotate`, { method: "POST", as: ADMIN, body: { overlapS: 60 } })
    ).text();
    await call(`/v1/credentials/${secretId}`, { method: "DELETE", as: ADMIN });
    const url = "https://hooks.example.com/x?token=callback-url-secret";
    const body = { Url: url, Key: "callback-key-secret" };
    expect((await call(`/v1/callbacks/${APP}`, { method: "PUT", as: limited.pair, body })).status).toBe(200);
    expect((await call(`/v1/callbacks/${APP}`, { method: "DELETE", as: limited.pair })).status).toBe(204);
    const lines = await audit();
    expect(lines.filter(({ subject }) => subject === secretId).map(({ action, by }) => `${by} ${action}`)).toEqual([
      "admin credential.revoke",
      "admin credential.rotate",
      "admin credential.add",
    ]);
    expect(lines.slice(0, 2)).toMatchObject([
      { action: "callback.remove", subject: String(APP), by: limited.secretId, sdkAppIds: [APP] },
      { action: "callback.set", subject: String(APP), by: limited.secretId, sdkAppIds: [APP] },
    ]);
    const text = JSON.stringify(lines);
    for (const secret of [secretKey, limited.secretKey, "callback-url-secret", "callback-key-secret"]) {
      expect(text).not.toContain(secret);
    }
    const seen = await audit(limited.pair);
    expect(seen.map(({ sdkAppIds }) => sdkAppIds)).toEqual(seen.map(() => [APP]));
    const [, second] = lines;
    const older = await call(`/v1/audit?limit=1&before=${lines[0]?.seq ?? 0}`, { as: ADMIN });
    expect((await older.json<AuditList>()).lines).toEqual([second]);
  });

  it("keeps 10,000 lines of the audit log", async () => {
    await add({ sdkAppIds: [APP], role: "viewer" });
    await runInDurableObject(keyring(), (_object, { storage }) => {
      const { seq } = storage.sql.exec<{ seq: number }>("SELECT MAX(seq) AS seq FROM audit").one();
      // The sequence numbers are set as if that many changes had been made since.
      storage.sql.exec("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit'", seq + 10_000);
    });
    const { secretId } = await add({ sdkAppIds: [APP], role: "viewer" });
    expect((await audit()).map(({ subject }) => subject)).toEqual([secretId]);
  });

  it("seals the whole keyring with the newest key after that was put first in SEAL_KEY", async () => {
    const { secretId, pair } = await add({ sdkAppIds: [APP], role: "viewer" });
    const [newest, older] = SEAL_KEYS;
    const [, secretKey = ""] = pair.split(".");
    const sealedBefore = await seal(secretKey, [older], credentialSubject(secretId));
    await runInDurableObject(keyring(), (_object, { storage }) => {
      storage.sql.exec(
        "UPDATE credential SET value = json_set(value, '$.keys[0].sealed', ?) WHERE secret_id = ?",
        sealedBefore,
        secretId,
      );
      storage.kv.put("sealedWith", "the older key's mark");
    });
    // The object starts again, as after a deployment.
    await evictDurableObject(keyring());
    forgetKeyring();
    expect(await statusOf(pair)).toBe(200);
    const { sealed } = await runInDurableObject(keyring(), (_object, { storage }) =>
      storage.sql
        .exec<{ sealed: string }>(
          "SELECT json_extract(value, '$.keys[0].sealed') AS sealed FROM credential WHERE secret_id = ?",
          secretId,
        )
        .one(),
    );
    expect(await unseal(sealed, [newest], credentialSubject(secretId))).toBe(secretKey);
  });

  it.each([
    ["POST", "/v1/worker-tokens", { regions: "ap-x", lifetimeS: 1 }, ["workerId", "regions", "lifetimeS"]],
    ["POST", "/v1/worker-tokens", { workerId: "a b", regions: ["X"], days: 3 }, ["workerId", "regions.0", "days"]],
    ["DELETE", "/v1/worker-tokens/a%20b", undefined, ["workerId"]],
  ])("names each wrong field of %s %s and what was expected", async (method, path, body, names) => {
    const response = await call(path, { method, as: ADMIN, ...(body === undefined ? {} : { body }) });
    expect(response.status).toBe(400);
    const { error } = await response.json<{ error: { fields: FieldProblem[] } }>();
    expect(error.fields.map(({ field }) => field).toSorted()).toEqual(names.toSorted());
    const workerId = error.fields.find(({ field }) => field === "workerId");
    expect(workerId?.expected).toBe("1 to 64 letters, digits, dots, hyphens or underscores");
  });
});
