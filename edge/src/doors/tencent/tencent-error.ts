import { type ErrorCode, RoomcastError } from "@roomcast/shared";

export type TencentService = "scf" | "trtc";

/** Roomcast's codes that are also codes of Tencent Cloud. They are shown unchanged. */
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
 * Returns the code that Tencent's clients see, which is always one of Tencent's. Of a more specific code of Roomcast only the
 * first part is shown, and the message gives the rest. Codes are translated only here.
 */
export function wireCode(code: ErrorCode, service: TencentService | null): string {
  // Tencent treats a UserSig as an ordinary parameter.
  if (code === "AuthFailure.InvalidUserSig" || code === "AuthFailure.UserSigExpired") return "InvalidParameterValue";
  if (code === "ResourceNotFound.Task" && service === "scf") return "ResourceNotFound.AsyncEvent";
  return COMMON_CODES.has(code) ? code : code.replace(/\..*$/, "");
}

/** Writes the answer `{"Response":{…}}` with HTTP 200. Every answer of Tencent's API has this form, including errors. */
export function answer(requestId: string, content: object): Response {
  return Response.json({ Response: { ...content, RequestId: requestId } });
}

/** Writes a thrown error in the form of Tencent's API, without its stack and cause. */
export function errorAnswer(requestId: string, thrown: unknown, service: TencentService | null): Response {
  const error = RoomcastError.from(thrown);
  if (error.code === "InternalError") {
    const { cause } = error;
    const shown = cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause;
    console.error("request failed", { requestId, thrown: shown });
  }
  return answer(requestId, { Error: { Code: wireCode(error.code, service), Message: error.message } });
}
