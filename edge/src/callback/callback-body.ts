import { scfStatus } from "@roomcast/shared";
import type { CallbackEvent } from "./callback-event.ts";

/** The EventGroupId of TRTC's feature "input online media streams". */
const EVENT_GROUP = 7;

export interface CallbackTask {
  readonly taskId: string;
  readonly sdkAppId: number;
}

/** Returns the body of a callback. Times are Unix ms. Pure. */
export function callbackBody(event: CallbackEvent, { taskId, sdkAppId }: CallbackTask, sentAtMs: number): string {
  if (event.kind === "trtc") {
    return JSON.stringify({
      EventGroupId: EVENT_GROUP,
      EventType: event.type,
      CallbackMsTs: sentAtMs,
      EventInfo: { EventMsTs: event.atMs, TaskId: taskId, Status: event.status },
    });
  }
  const { error } = event;
  const failure = error === null ? null : { Code: error.code, Message: error.message, Retryable: error.retryable };
  if (event.kind === "item") {
    return JSON.stringify({
      Event: "task.item",
      CallbackMsTs: sentAtMs,
      EventInfo: {
        EventMsTs: event.atMs,
        TaskId: taskId,
        SdkAppId: sdkAppId,
        Seq: event.seq,
        Attempt: event.attempt,
        Item: event.item,
        Skipped: event.count,
        Error: failure,
      },
    });
  }
  return JSON.stringify({
    Event: "task.state",
    CallbackMsTs: sentAtMs,
    EventInfo: {
      EventMsTs: event.atMs,
      TaskId: taskId,
      SdkAppId: sdkAppId,
      Seq: event.seq,
      State: event.state,
      Status: scfStatus(event.state),
      Attempt: event.attempt,
      PositionMs: event.positionMs,
      Error: failure,
      Reason: event.reason,
    },
  });
}

const encoder = new TextEncoder();

/** Returns the header `Sign`: base64 of HMAC-SHA256 over the body with the callback's key. */
export async function signature(body: string, key: string): Promise<string> {
  const imported = await crypto.subtle.importKey("raw", encoder.encode(key), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
  ]);
  const digest = await crypto.subtle.sign("HMAC", imported, encoder.encode(body));
  return new Uint8Array(digest).toBase64();
}
