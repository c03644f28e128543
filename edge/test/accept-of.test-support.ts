import type { Accept, AcceptedPush } from "../src/contracts/directory-object.ts";

/** Returns a task as it is sent to a Directory, with a request that the tests do not look at. */
export function acceptOf(rest: Pick<Accept, "taskId" | "sdkAppId" | "seatKey"> & Partial<Accept>): Accept {
  const push: AcceptedPush = {
    request: {
      VideoSrc: "https://a.example/x",
      SdkAppId: rest.sdkAppId,
      StrRoomId: "room",
      UserId: "teacher",
      Mode: "vod",
      Redis: false,
    },
    sealedRequest: "sealed",
    callbacks: null,
  };
  return {
    region: "ap-test",
    startsAtMs: 0,
    push: JSON.stringify(push),
    onConflict: "replace",
    endedHolder: null,
    idempotency: null,
    ...rest,
  };
}
