import { describe, expect, it } from "vitest";
import { ERROR_CODES, type ErrorCode, RoomcastError } from "./errors.ts";

// SAFETY: the keys of a literal object are its codes.
const codes = Object.keys(ERROR_CODES) as ErrorCode[];

describe("RoomcastError", () => {
  it.each(codes)("has an HTTP error status and a retry flag for %s", (code) => {
    const error = new RoomcastError(code, "What went wrong.");
    expect(error.httpStatus).toBeGreaterThanOrEqual(400);
    expect(error.httpStatus).toBeLessThan(600);
    expect(error.toBody()).toEqual({ code, message: "What went wrong.", retryable: ERROR_CODES[code].retryable });
  });

  it.each(codes)("names %s by Tencent Cloud's rules", (code) => {
    expect(code).toMatch(/^[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)?$/);
  });

  it("has a server-side status for every retryable error except for rate limits", () => {
    const blamed = codes.filter((code) => ERROR_CODES[code].retryable && ERROR_CODES[code].httpStatus < 500);
    expect(blamed).toEqual(["RequestLimitExceeded", "LimitExceeded"]);
  });

  it("sends neither its stack nor its cause nor its fields", () => {
    const error = new RoomcastError("InternalError", "Sorry.", {
      cause: new Error("secret"),
      fields: [{ field: "UserSig", problem: "invalid", expected: "another" }],
    });
    expect(Object.keys(error.toBody()).toSorted()).toEqual(["code", "message", "retryable"]);
  });

  it("is the same error after it was sent as JSON", () => {
    const body = new RoomcastError("FailedOperation.SourceLost", "The source is gone.").toBody();
    expect(RoomcastError.fromBody(body).toBody()).toEqual(body);
  });

  it("has no cause unless one is given", () => {
    expect("cause" in new RoomcastError("InternalError", "Sorry.")).toBe(false);
  });

  it("is returned unchanged when it is caught as an unknown value", () => {
    const error = new RoomcastError("LimitExceeded", "Too often.");
    expect(RoomcastError.from(error)).toBe(error);
  });

  it.each([new Error("password=hunter2"), "password=hunter2", undefined, null, { message: "password=hunter2" }])(
    "shows nothing of a foreign error (%s) and keeps it as the cause",
    (thrown) => {
      const error = RoomcastError.from(thrown);
      expect(error.code).toBe("InternalError");
      expect(error.message).not.toContain("hunter2");
      expect(error.cause).toBe(thrown);
    },
  );
});
