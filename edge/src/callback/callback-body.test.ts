import { describe, expect, it } from "vitest";
import { callbackBody, signature } from "./callback-body.ts";

const TASK = { taskId: "01127174-d863-46a2-b20a-5386ffb21f5e", sdkAppId: 1_400_000_001 };

describe("callbackBody", () => {
  it("writes the body of 701 exactly as TRTC does", () => {
    expect(callbackBody({ kind: "trtc", atMs: 1_701_937_900_013, type: 701, status: 0 }, TASK, 1_701_937_900_020)).toBe(
      '{"EventGroupId":7,"EventType":701,"CallbackMsTs":1701937900020,"EventInfo":{"EventMsTs":1701937900013,"TaskId":"01127174-d863-46a2-b20a-5386ffb21f5e","Status":0}}',
    );
  });

  it("writes state, position and cause into the events of Roomcast", () => {
    const error = { code: "FailedOperation.SourceLost", message: "gone", retryable: true } as const;
    const event = {
      kind: "task",
      atMs: 5,
      seq: 3,
      state: "failed",
      attempt: 2,
      positionMs: 1200,
      error,
      reason: null,
    } as const;
    expect(JSON.parse(callbackBody(event, TASK, 7))).toEqual({
      Event: "task.state",
      CallbackMsTs: 7,
      EventInfo: {
        EventMsTs: 5,
        TaskId: TASK.taskId,
        SdkAppId: TASK.sdkAppId,
        Seq: 3,
        State: "failed",
        Status: "FAILED",
        Attempt: 2,
        PositionMs: 1200,
        Error: { Code: "FailedOperation.SourceLost", Message: "gone", Retryable: true },
        Reason: null,
      },
    });
  });

  it("is signed with the base64 of HMAC-SHA256", async () => {
    // Computed with OpenSSL: printf '{"a":1}' | openssl dgst -sha256 -hmac 123654 -binary | base64
    expect(await signature('{"a":1}', "123654")).toBe("Q2QjX6W9h5g1IHkg/OoT2jdQxrfuCwfHIBn8izJsy9g=");
  });
});
