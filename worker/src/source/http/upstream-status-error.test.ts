import { describe, expect, it } from "vitest";
import { readRetryAfter, UpstreamStatusError } from "./upstream-status-error.ts";

const NOW_MS = Date.UTC(2026, 0, 1, 12);

describe("UpstreamStatusError", () => {
  describe("readRetryAfter", () => {
    it.each([
      ["120", 120_000],
      [" 0 ", 0],
      ["1.5", 1500],
      ["Thu, 01 Jan 2026 12:00:30 GMT", 30_000],
      ["Thu, 01 Jan 2026 11:00:00 GMT", 0],
      ["-5", undefined],
      ["soon", undefined],
      ["", undefined],
      [undefined, undefined],
    ])("parses the header %j, whose wait in ms is %j", (header, expected) => {
      expect(readRetryAfter(header, NOW_MS)).toBe(expected);
    });
  });

  it.each([
    [403, false, "SourceForbidden", /access is refused/],
    [403, true, "SourceForbidden", /has expired/],
    [404, false, "SourceNotFound", /there is no such file/],
    [410, true, "SourceNotFound", /is gone now/],
    [408, false, "SourceTimeout", /not ready in time/],
    [503, false, "SourceUnreachable", /asks for a wait of 7 s/],
    [302, false, "SourceUnreachable", /without a usable target/],
    [418, false, "SourceUnreachable", /instead of the file/],
  ])("explains status %i (read before: %s) as %s", (status, heldBefore, code, message) => {
    const error = new UpstreamStatusError({ status, url: "http://h/a?key=s3cret", heldBefore, retryAfterMs: 6500 });
    expect(error).toMatchObject({ code: `FailedOperation.${code}`, message: expect.stringMatching(message) });
    expect(error.message).not.toContain("s3cret");
  });
});
