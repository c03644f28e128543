import { RoomcastError } from "@roomcast/shared";
import type { Caller } from "../../auth/caller.ts";
import { hex } from "../../base/hex.ts";
import type { TencentCall } from "./call/tencent-call.ts";
import { canonicalRequest, parseAuthorization, type Tc3Authorization, tc3Signature } from "./tc3-signature.ts";

const MAX_CLOCK_DIFFERENCE_S = 5 * 60;
const REQUIRED_HEADERS = ["content-type", "host"] as const;
/** The header with which a client declares that its signature does not cover the body. */
const CONTENT_HEADER = "X-TC-Content-SHA256";

/** A credential with the SecretKeys that are valid now. For some time after a rotation, a credential has two keys. */
interface KnownCredential {
  readonly caller: Caller;
  readonly secretKeys: readonly string[];
}

export interface Tc3CallerOptions {
  readonly call: TencentCall;
  /** Returns undefined if there is no such credential. */
  readonly findCredential: (secretId: string) => Promise<KnownCredential | undefined>;
  readonly nowMs: number;
}

/** The authenticated caller, with the service that the credential scope names. SDKs take the service from the endpoint. */
export interface SignedBy {
  readonly caller: Caller;
  readonly service: string;
  /** The signature in hexadecimal. Only the same call in the same second, or a replay of that call, has the same signature. */
  readonly signature: string;
}

/**
 * Authenticates the signer of a call.
 *
 * @throws RoomcastError `AuthFailure.*`; `MissingParameter` or `InvalidParameterValue` for X-TC-Timestamp.
 */
export async function tc3Caller({ call, findCredential, nowMs }: Tc3CallerOptions): Promise<SignedBy> {
  const timestampS = checkedTimestamp(call.timestamp);
  const authorization = parseAuthorization(call.headers.get("Authorization") ?? "");
  if (authorization === null) {
    throw new RoomcastError(
      "AuthFailure.InvalidAuthorization",
      "The Authorization header is missing or malformed: expected `TC3-HMAC-SHA256 Credential=<SecretId>/<date>/<service>/tc3_request, SignedHeaders=content-type;host, Signature=<64 hexadecimal digits>`. Other signature methods are not supported.",
    );
  }
  const unsigned = REQUIRED_HEADERS.filter((name) => !authorization.signedHeaders.includes(name));
  if (unsigned.length > 0) {
    const problem = `The signature leaves out ${unsigned.join(" and ")}: expected SignedHeaders with content-type and host.`;
    throw new RoomcastError("AuthFailure.InvalidAuthorization", problem);
  }
  if (call.token !== undefined) {
    throw new RoomcastError(
      "AuthFailure.TokenFailure",
      "X-TC-Token belongs to temporary credentials, which do not exist here: use a SecretId and SecretKey of this edge without a token.",
    );
  }
  if (Math.abs(nowMs / 1000 - timestampS) > MAX_CLOCK_DIFFERENCE_S) {
    throw new RoomcastError(
      "AuthFailure.SignatureExpire",
      `X-TC-Timestamp is more than ${MAX_CLOCK_DIFFERENCE_S / 60} minutes off this edge's clock, which says ${Math.floor(nowMs / 1000)}: correct the clock of the client.`,
    );
  }
  const credential = await findCredential(authorization.secretId);
  if (credential === undefined) {
    throw new RoomcastError("AuthFailure.SecretIdNotFound", "There is no credential with this SecretId.");
  }
  if (authorization.date !== new Date(timestampS * 1000).toISOString().slice(0, 10)) {
    throw new RoomcastError(
      "AuthFailure.SignatureFailure",
      "The date in the credential scope is not the UTC date of X-TC-Timestamp.",
    );
  }
  if (!(await isSignedWith(credential.secretKeys, call, authorization))) throw notSigned(call);
  const signature = hex(new Uint8Array(authorization.signature));
  return { caller: credential.caller, service: authorization.service, signature };
}

/** Returns X-TC-Timestamp in Unix seconds. */
function checkedTimestamp(text: string | undefined): number {
  if (text !== undefined && /^[0-9]{1,11}$/.test(text)) return Number(text);
  const problem = text === undefined ? "missing" : "invalid";
  const expected = "the time of the call in seconds since 1970";
  throw new RoomcastError(
    problem === "missing" ? "MissingParameter" : "InvalidParameterValue",
    `X-TC-Timestamp is ${problem}: expected ${expected}.`,
    { fields: [{ field: "X-TC-Timestamp", problem, expected }] },
  );
}

async function isSignedWith(
  secretKeys: readonly string[],
  call: TencentCall,
  { date, service, signedHeaders, signature }: Tc3Authorization,
): Promise<boolean> {
  const requests = signedHeaderWays(call.headers, signedHeaders).map((headers) =>
    canonicalRequest({
      method: call.method,
      query: call.method === "GET" ? call.query : "",
      headers,
      payload: call.body,
    }),
  );
  const scope = { date, service, timestamp: call.timestamp ?? "" };
  const expected = await Promise.all(
    secretKeys.flatMap((secretKey) =>
      requests.map(async (request) => tc3Signature({ ...scope, secretKey, canonicalRequest: await request })),
    ),
  );
  // Every key is compared, so that the time taken does not reveal which one matched.
  return expected.filter((each) => crypto.subtle.timingSafeEqual(each, signature)).length > 0;
}

type SignedHeaders = readonly (readonly [name: string, value: string])[];

/**
 * Returns the variants of the headers that a client may have signed: the host with its port or, as the official Node SDK does,
 * without it; the header values unchanged or, as Tencent's description says, in lower case.
 */
function signedHeaderWays(headers: Headers, names: readonly string[]): SignedHeaders[] {
  const host = headers.get("Host") ?? "";
  const ways = [host, host.replace(/:[0-9]+$/, "")].flatMap((shownHost) => {
    const asSent = names.map((name) => [name, name === "host" ? shownHost : (headers.get(name) ?? "")] as const);
    return [asSent, asSent.map(([name, value]) => [name, value.toLowerCase()] as const)];
  });
  return [...new Map(ways.map((way) => [JSON.stringify(way), way])).values()];
}

function notSigned(call: TencentCall): RoomcastError {
  const unsignedBody =
    call.headers.get(CONTENT_HEADER) === null ? "" : " A signature that leaves out the body is not accepted.";
  return new RoomcastError(
    "AuthFailure.SignatureFailure",
    `The signature does not fit the call: check the SecretKey, and that nothing between client and edge changes the Host header, the query or the body.${unsignedBody}`,
  );
}
