import { describe, expect, it } from "vitest";
import { canonicalRequest, parseAuthorization, tc3Signature } from "./tc3-signature.ts";

/** The key pair of the examples in Tencent's documentation of the signature. */
const SECRET_KEY = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
const HOST = ["host", "cvm.tencentcloudapi.com"] as const;

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const SIGNATURE = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168";

describe("TC3 signature", () => {
  it("equals the documented one for the POST of Tencent's documentation", async () => {
    const canonical = await canonicalRequest({
      method: "POST",
      query: "",
      headers: [["content-type", "application/json; charset=utf-8"], HOST],
      payload: String.raw`{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`,
    });
    expect(canonical.split("\n")).toEqual([
      "POST",
      "/",
      "",
      "content-type:application/json; charset=utf-8",
      "host:cvm.tencentcloudapi.com",
      "",
      "content-type;host",
      "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064",
    ]);
    const scope = { secretKey: SECRET_KEY, date: "2019-02-25", service: "cvm", timestamp: "1551113065" };
    expect(hex(await tc3Signature({ ...scope, canonicalRequest: canonical }))).toBe(
      "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
    );
  });

  it("equals the documented one for the GET of Tencent's documentation", async () => {
    const canonical = await canonicalRequest({
      method: "GET",
      query: "Limit=10&Offset=0",
      headers: [["content-type", "application/x-www-form-urlencoded"], HOST],
      payload: "",
    });
    const scope = { secretKey: SECRET_KEY, date: "2018-10-09", service: "cvm", timestamp: "1539084154" };
    expect(hex(await tc3Signature({ ...scope, canonicalRequest: canonical }))).toBe(
      "5da7a33f6993f0614b047e5df4582db9e9bf4672ba50567dba16c6ccf174c474",
    );
  });

  it("covers trimmed header values and always the path /", async () => {
    const parts = { method: "POST", query: "", payload: "" } as const;
    const one = await canonicalRequest({ ...parts, headers: [["x-tc-action", "  Invoke "]] });
    expect(one).toBe(await canonicalRequest({ ...parts, headers: [["x-tc-action", "Invoke"]] }));
    expect(one).toContain("x-tc-action:Invoke\n\nx-tc-action\n");
  });

  it("is parsed from an Authorization header with its scope and signed headers", () => {
    const header = `TC3-HMAC-SHA256 Credential=AKID/2019-02-25/127/tc3_request, SignedHeaders=content-type;Host, Signature=${SIGNATURE}`;
    expect(parseAuthorization(header)).toEqual({
      secretId: "AKID",
      date: "2019-02-25",
      service: "127",
      signedHeaders: ["content-type", "host"],
      signature: expect.toSatisfy((bytes: Uint8Array<ArrayBuffer>) => hex(bytes.buffer) === SIGNATURE),
    });
  });

  it.each([
    "",
    "SKIP",
    "Bearer admin.admin-secret-key",
    `TC3-HMAC-SHA256 Credential=AKID/2019-02-25/tc3_request, SignedHeaders=content-type;host, Signature=${SIGNATURE}`,
    `TC3-HMAC-SHA256 Credential=AKID/2019-2-25/cvm/tc3_request, SignedHeaders=content-type;host, Signature=${SIGNATURE}`,
    `TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/aws4_request, SignedHeaders=content-type;host, Signature=${SIGNATURE}`,
    `TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, Signature=${SIGNATURE}0`,
    `TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, Signature=zz${SIGNATURE.slice(2)}`,
    `TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/tc3_request, Signature=${SIGNATURE}`,
    `HmacSHA256 Credential=AKID/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, Signature=${SIGNATURE}`,
  ])("is not parsed from a header of another form: %j", (header) => {
    expect(parseAuthorization(header)).toBeNull();
  });
});
