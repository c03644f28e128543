import { ERROR_CODES, type ErrorCode } from "@roomcast/shared";
import { expect, test } from "vitest";
import { wireCode } from "./tencent-error.ts";

/** Tencent Cloud's common codes, and those of SCF and TRTC that fit: https://www.tencentcloud.com/document/api/583/17244 */
const TENCENTS =
  /^(InvalidParameter|InvalidParameterValue|MissingParameter|UnknownParameter|RequestSizeLimitExceeded|RequestLimitExceeded|UnsupportedOperation|InvalidAction|NoSuchVersion|AuthFailure(\.(InvalidAuthorization|SecretIdNotFound|SignatureExpire|SignatureFailure|TokenFailure|UnauthorizedOperation))?|ResourceNotFound(\.AsyncEvent)?|ResourceInUse|ResourceInsufficient|ResourceUnavailable|LimitExceeded|FailedOperation|InternalError)$/;

// SAFETY: the keys of a literal object are its codes.
test.each(Object.keys(ERROR_CODES) as ErrorCode[])("%s is shown by a code that Tencent's clients know", (code) => {
  for (const service of ["scf", "trtc", null] as const) expect(wireCode(code, service)).toMatch(TENCENTS);
});

test.each([
  ["ResourceNotFound.Task", "scf", "ResourceNotFound.AsyncEvent"],
  ["ResourceNotFound.Task", "trtc", "ResourceNotFound"],
  ["AuthFailure.UserSigExpired", "trtc", "InvalidParameterValue"],
  ["FailedOperation.SourceNotFound", "trtc", "FailedOperation"],
  ["AuthFailure.SignatureExpire", null, "AuthFailure.SignatureExpire"],
] as const)("%s of %s is shown as %s", (code, service, shown) => {
  expect(wireCode(code, service)).toBe(shown);
});
