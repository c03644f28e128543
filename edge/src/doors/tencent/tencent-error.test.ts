import { ERROR_CODES, type ErrorCode } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { wireCode } from "./tencent-error.ts";

/** Tencent Cloud's common codes and the codes of SCF and TRTC that are used here: https://www.tencentcloud.com/document/api/583/17244 */
const TENCENTS =
  /^(InvalidParameter|InvalidParameterValue|MissingParameter|UnknownParameter|RequestSizeLimitExceeded|RequestLimitExceeded|UnsupportedOperation|InvalidAction|NoSuchVersion|AuthFailure(\.(InvalidAuthorization|SecretIdNotFound|SignatureExpire|SignatureFailure|TokenFailure|UnauthorizedOperation))?|ResourceNotFound(\.AsyncEvent)?|ResourceInUse|ResourceInsufficient|ResourceUnavailable|LimitExceeded|FailedOperation|InternalError)$/;

describe("Tencent error", () => {
  // SAFETY: the keys of a literal object are its codes.
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])("shows %s as a code that Tencent's clients know", (code) => {
    for (const service of ["scf", "trtc", null] as const) expect(wireCode(code, service)).toMatch(TENCENTS);
  });

  it.each([
    ["ResourceNotFound.Task", "scf", "ResourceNotFound.AsyncEvent"],
    ["ResourceNotFound.Task", "trtc", "ResourceNotFound"],
    ["AuthFailure.UserSigExpired", "trtc", "InvalidParameterValue"],
    ["FailedOperation.SourceNotFound", "trtc", "FailedOperation"],
    ["AuthFailure.SignatureExpire", null, "AuthFailure.SignatureExpire"],
  ] as const)("shows %s of service %s as %s", (code, service, shown) => {
    expect(wireCode(code, service)).toBe(shown);
  });
});
