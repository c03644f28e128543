import { type ErrorCode, RoomcastError } from "@roomcast/shared";

export type TencentService = "scf" | "trtc";

/** Codes of ours that are among Tencent Cloud's common ones, and so are shown as they are. */
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

/**
 * The code that Tencent's clients see: Tencent's own ones only. What only we tell apart is shown by its first part;
 * the message says the rest. The one place where codes are translated.
 */
export function wireCode(code: ErrorCode, service: TencentService | null): string {
  // To Tencent a UserSig is a parameter like others.
  if (code === "AuthFailure.InvalidUserSig" || code === "AuthFailure.UserSigExpired") return "InvalidParameterValue";
  if (code === "ResourceNotFound.Task" && service === "scf") return "ResourceNotFound.AsyncEvent";
  return COMMON_CODES.has(code) ? code : code.replace(/\..*$/, "");
}

/** `{"Response":{…}}` as every answer of the API is, HTTP 200 whatever became of the call. */
export function answer(requestId: string, content: object): Response {
  return Response.json({ Response: { ...content, RequestId: requestId } });
}

/** What was thrown, as the API shows it: never a stack, never a cause. */
export function errorAnswer(requestId: string, thrown: unknown, service: TencentService | null): Response {
  const error = RoomcastError.from(thrown);
  if (error.code === "InternalError") {
    const { cause } = error;
    const shown = cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause;
    console.error("request failed", { requestId, thrown: shown });
  }
  return answer(requestId, { Error: { Code: wireCode(error.code, service), Message: error.message } });
}
