import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { type RetryPolicy, retryPolicyFor } from "./source-retry-policy.ts";

describe("retryPolicyFor", () => {
  it.each<
    [ErrorCode, { recorded: [RetryPolicy, RetryPolicy, RetryPolicy]; live: [RetryPolicy, RetryPolicy, RetryPolicy] }]
  >([
    ["FailedOperation.SourceLost", { recorded: ["wait", "wait", "wait"], live: ["wait", "wait", "wait"] }],
    ["FailedOperation.SourceTimeout", { recorded: ["wait", "wait", "wait"], live: ["wait", "wait", "wait"] }],
    ["FailedOperation.SourceUnreachable", { recorded: ["wait", "wait", "wait"], live: ["wait", "wait", "wait"] }],
    ["FailedOperation.SourceNotFound", { recorded: ["none", "wait", "wait"], live: ["none", "wait", "wait"] }],
    ["FailedOperation.SourceForbidden", { recorded: ["none", "wait", "wait"], live: ["none", "wait", "wait"] }],
    ["FailedOperation.MediaEngine", { recorded: ["none", "fewTries", "fewTries"], live: ["none", "wait", "wait"] }],
    ["InternalError", { recorded: ["none", "fewTries", "fewTries"], live: ["none", "wait", "wait"] }],
    ["FailedOperation.SourceTruncated", { recorded: ["none", "none", "wait"], live: ["none", "wait", "wait"] }],
    ["FailedOperation.SourceNotMedia", { recorded: ["none", "none", "wait"], live: ["none", "wait", "wait"] }],
    ["FailedOperation.SourceUnsupported", { recorded: ["none", "none", "wait"], live: ["none", "wait", "wait"] }],
    ["FailedOperation.RoomLost", { recorded: ["none", "none", "none"], live: ["none", "none", "none"] }],
    ["InvalidParameterValue", { recorded: ["none", "none", "none"], live: ["none", "none", "none"] }],
  ])("decides after %s for a source that was unopened, broke off or is away: %o", (code, expected) => {
    const error = new RoomcastError(code, "gone");
    const of = (live: boolean) =>
      (["unopened", "brokeOff", "away"] as const).map((history) => retryPolicyFor(error, { live, history }));
    expect({ recorded: of(false), live: of(true) }).toEqual(expected);
  });
});
