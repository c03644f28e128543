import { type ErrorCode, RoomcastError } from "@roomcast/shared";

export type TencentService = "scf" | "trtc";

/** Our codes that are also Tencent Cloud's, and are shown unchanged. */
const COMMON_CODES: ReadonlySet<string> = new Set<ErrorCode>([
  "InvalidParameter",
  "InvalidParameterValue",
  "MissingParameter",
  "UnknownParameter",
  "RequestSizeLimitExceeded",
  "RequestLimitExceeded",
  "UnsupportedOperation",
  "InvalidAction",
  "NoSuchVersion",
  "AuthFailure.InvalidAuthorization",
  "AuthFailure.SecretIdNotFound",
  "AuthFailure.SignatureExpire",
  "AuthFailure.SignatureFailure",
  "AuthFailure.TokenFailure",
  "AuthFailure.UnauthorizedOperation",
  "ResourceInsufficient",
  "LimitExceeded",
  "InternalError",
]);

/** Returns the code that Tencent's clients see, which is always one of Tencent's. A finer code of ours is shown by its first part,
 * and the message says the rest. Codes are translated only here.
 */
export function wireCode(code: ErrorCode, service: TencentService | null): string {
  // For Tencent a UserSig is an ordinary parameter.
  if (code === "AuthFailure.InvalidUserSig" || code === "AuthFailure.UserSigExpired") return "InvalidParameterValue";
  if (code === "ResourceNotFound.Task" && service === "scf") return "ResourceNotFound.AsyncEvent";
  return COMMON_CODES.has(code) ? code : code.replace(/\..*$/, "");
}

/** Writes `{"Response":{…}}` with HTTP 200, as every answer of this API. */
export function answer(requestId: string, content: object): Response {
  return Response.json({ Response: { ...content, RequestId: requestId } });
}

/** Shows a thrown error as the API does, without its stack and cause. */
export function errorAnswer(requestId: string, thrown: unknown, service: TencentService | null): Response {
  const error = RoomcastError.from(thrown);
  if (error.code === "InternalError") {
    const { cause } = error;
    const shown = cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause;
    console.error("request failed", { requestId, thrown: shown });
  }
  return answer(requestId, { Error: { Code: wireCode(error.code, service), Message: error.message } });
}
