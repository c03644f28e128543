import { describe, expect, it } from "vitest";
import { type SignedCallOptions, signedRequest } from "../../../test/tencent-client.test-support.ts";
import { readTencentCall } from "./call/tencent-call.ts";
import { tc3Caller } from "./tc3-caller.ts";

const CALLER = { secretId: "school", sdkAppIds: [1400000001], role: "operator" } as const;
const NOW_S = 1_790_000_000;

async function signedBy(options: SignedCallOptions = {}, secretKeys: readonly string[] = ["the-key"]) {
  const request = await signedRequest("Invoke", { as: "school.the-key", timestampS: NOW_S, ...options });
  return tc3Caller({
    call: await readTencentCall(request),
    findCredential: async (secretId) => (secretId === "school" ? { caller: CALLER, secretKeys } : undefined),
    nowMs: NOW_S * 1000 + 500,
  });
}

const AUTH = "TC3-HMAC-SHA256 Credential=school/2026-09-21/scf/tc3_request, SignedHeaders=";

describe("tc3Caller", () => {
  it.each<[string, SignedCallOptions]>([
    ["a POST body", { body: '{"FunctionName":"push","ClientContext":"漢字"}' }],
    ["an empty body", { body: "" }],
    ["a GET query", { method: "GET", query: "Action=Invoke&FunctionName=a%20b&ClientContext=%7B%22x%22%3A%27%7D" }],
    ["a host with its port", { host: "edge:8787" }],
    ["a host without its port, as the official Node SDK signs it", { host: "127.0.0.1:8787", signedHost: "127.0.0.1" }],
    ["an IPv6 host without its port", { host: "[::1]:8787", signedHost: "[::1]" }],
    ["a scope of the endpoint's first label", { scope: "localhost:8787" }],
    ["another signed header, in lower case as described", { signedHeaders: [["x-tc-action", "invoke"]] }],
    ["another signed header in its original case", { signedHeaders: [["x-tc-action", "Invoke"]] }],
    ["a header that is signed and not sent", { signedHeaders: [["x-not-sent", ""]] }],
    ["a clock five minutes late", { timestampS: NOW_S - 299 }],
    ["a clock five minutes early", { timestampS: NOW_S + 300 }],
    ["an empty token, as SDKs send one", { headers: { "X-TC-Token": "" } }],
  ])("verifies a signed call with %s", async (_what, options) => {
    expect((await signedBy(options)).caller).toEqual(CALLER);
  });

  it("returns the service of the credential scope", async () => {
    expect((await signedBy({ scope: "127" })).service).toBe("127");
  });

  it("accepts any of the keys that the credential has now", async () => {
    expect((await signedBy({}, ["a newer key", "the-key"])).caller).toEqual(CALLER);
    await expect(signedBy({}, ["a newer key"])).rejects.toMatchObject({ code: "AuthFailure.SignatureFailure" });
  });

  it.each<[string, string, SignedCallOptions]>([
    ["another key", "AuthFailure.SignatureFailure", { as: "school.another-key" }],
    ["an unknown SecretId", "AuthFailure.SecretIdNotFound", { as: "nobody.the-key" }],
    ["another host", "AuthFailure.SignatureFailure", { signedHost: "elsewhere" }],
    ["a date that differs from its timestamp", "AuthFailure.SignatureFailure", { date: "2020-01-01" }],
    ["a clock more than five minutes late", "AuthFailure.SignatureExpire", { timestampS: NOW_S - 301 }],
    ["a clock more than five minutes early", "AuthFailure.SignatureExpire", { timestampS: NOW_S + 302 }],
    [
      "a timestamp that was changed",
      "AuthFailure.SignatureFailure",
      { headers: { "X-TC-Timestamp": String(NOW_S + 1) } },
    ],
    ["a Content-Type that was changed", "AuthFailure.SignatureFailure", { headers: { "Content-Type": "text/plain" } }],
    [
      "a signed header that was changed",
      "AuthFailure.SignatureFailure",
      { signedHeaders: [["x-tc-action", "ListAsyncEvents"]] },
    ],
    ["no timestamp", "MissingParameter", { headers: { "X-TC-Timestamp": null } }],
    ["a timestamp that is not a number", "InvalidParameterValue", { headers: { "X-TC-Timestamp": "yesterday" } }],
    ["no Authorization", "AuthFailure.InvalidAuthorization", { headers: { Authorization: null } }],
    [
      "a Bearer credential",
      "AuthFailure.InvalidAuthorization",
      { headers: { Authorization: "Bearer school.the-key" } },
    ],
    [
      "a host that is not signed",
      "AuthFailure.InvalidAuthorization",
      { headers: { Authorization: `${AUTH}content-type, Signature=${"0".repeat(64)}` } },
    ],
    ["a token of temporary credentials", "AuthFailure.TokenFailure", { headers: { "X-TC-Token": "t" } }],
    [
      "a body that is not signed",
      "AuthFailure.SignatureFailure",
      { signedPayload: "UNSIGNED-PAYLOAD", headers: { "X-TC-Content-SHA256": "UNSIGNED-PAYLOAD" } },
    ],
  ])("refuses a call with %s", async (_what, code, options) => {
    await expect(signedBy(options)).rejects.toMatchObject({ code });
  });

  it("refuses a query or body that was changed in transit", async () => {
    const signed = await signedRequest("Invoke", { as: "school.the-key", timestampS: NOW_S, body: '{"a":1}' });
    const changed = new Request(signed.url, { method: "POST", headers: signed.headers, body: '{"a":2}' });
    const get = await signedRequest("Invoke", { as: "school.the-key", timestampS: NOW_S, method: "GET", query: "a=1" });
    const other = new Request("http://edge/?a=2", { headers: get.headers });
    for (const request of [changed, other]) {
      const call = await readTencentCall(request);
      const findCredential = async () => ({ caller: CALLER, secretKeys: ["the-key"] });
      await expect(tc3Caller({ call, findCredential, nowMs: NOW_S * 1000 })).rejects.toMatchObject({
        code: "AuthFailure.SignatureFailure",
      });
    }
  });

  it("never shows a key or a signature in an error", async () => {
    const refused = await signedBy({ as: "school.another-key" }).catch((thrown: unknown) => thrown);
    expect(String(refused)).not.toContain("the-key");
    expect(String(refused)).not.toMatch(/[0-9a-f]{16}/);
  });
});
