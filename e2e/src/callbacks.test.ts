import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { SDK_APP_ID } from "@roomcast/dev/stack/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CallbackReceiver } from "./harness/callback-receiver.ts";
import { TestSystem } from "./harness/test-system.ts";

let system: TestSystem;
let receiver: CallbackReceiver;
let VideoSrc: string;

beforeAll(async () => {
  receiver = await CallbackReceiver.start();
  system = await TestSystem.start({
    redis: false,
    edgeSettings: { CALLBACK_ALLOW_HOSTS: "127.0.0.1", CALLBACK_RETRY_MS: "1000", REGIONS: "ap-nobody" },
  });
  VideoSrc = system.stack.files.serve(await sampleClip({ durationS: 2 }));
});

afterAll(async () => {
  await system?.stop();
  await receiver?.stop();
});

interface Event {
  readonly EventGroupId: number;
  readonly EventType: number;
  readonly CallbackMsTs: number;
  readonly EventInfo: { readonly EventMsTs: number; readonly TaskId: string; readonly Status: number };
}

const POLL = { timeout: 40_000, interval: 50 } as const;

/** Returns the type and the status of each event that has come to a path so far. */
function eventsAt(path: string): string[] {
  return receiver.at(path).map(({ body }) => {
    // SAFETY: a wrong shape fails the comparison.
    const { EventType, EventInfo } = JSON.parse(body) as Event;
    return `${EventType}/${EventInfo.Status}`;
  });
}

/** Starts a push and stops it before any worker has it. */
async function stoppedPush(path: string): Promise<string> {
  const body = await system.pushBody({ VideoSrc, Region: "ap-nobody" });
  const callback = { CallbackUrl: receiver.url(path), CallbackKey: receiver.key };
  const taskId = await system.stack.client.push({ ...body, ...callback });
  await system.stack.client.stop(taskId);
  return taskId;
}

describe("Callbacks", () => {
  it("report a push's start and end in TRTC's format, each with a signature that fits its bytes", async () => {
    const body = await system.pushBody({ VideoSrc });
    const callback = { CallbackUrl: receiver.url("/played?class=7b"), CallbackKey: receiver.key };
    const taskId = await system.stack.client.push({ ...body, ...callback });
    await expect.poll(() => eventsAt("/played?class=7b"), POLL).toEqual(["701/0", "702/0"]);
    for (const { headers, body: sent } of receiver.at("/played?class=7b")) {
      expect(headers).toMatchObject({
        sign: receiver.sign(sent),
        sdkappid: String(SDK_APP_ID),
        "content-type": "application/json",
      });
      // SAFETY: a wrong shape fails the comparison.
      const { EventGroupId, EventType, CallbackMsTs, EventInfo, ...more } = JSON.parse(sent) as Event;
      expect({ EventGroupId, more, info: Object.keys(EventInfo) }).toEqual({
        EventGroupId: 7,
        more: {},
        info: ["EventMsTs", "TaskId", "Status"],
      });
      expect(EventInfo.TaskId).toBe(taskId);
      expect(CallbackMsTs).toBeGreaterThanOrEqual(EventInfo.EventMsTs);
      expect([701, 702]).toContain(EventType);
    }
    expect(system.lines.join("\n")).not.toContain(receiver.key);
  });

  it("do not follow a redirect but are sent to the same URL again", async () => {
    receiver.plan({ status: 307, headers: { Location: receiver.url("/elsewhere") } });
    await stoppedPush("/moved");
    await expect.poll(() => eventsAt("/moved"), POLL).toEqual(["702/0", "702/0"]);
    expect(receiver.at("/elsewhere")).toEqual([]);
  });

  // On a busy machine, most of this time is taken by the start of the edge.
  it("are sent after the edge has restarted when the receiver took none before the edge was killed", {
    timeout: 120_000,
  }, async () => {
    receiver.plan({ status: 503 }, { status: 503 });
    await stoppedPush("/after-restart");
    // The first try is repeated at once; the third one follows a second later.
    await expect.poll(() => eventsAt("/after-restart"), POLL).toHaveLength(2);
    await system.stack.restartEdge();
    await expect.poll(() => eventsAt("/after-restart"), POLL).toEqual(["702/0", "702/0", "702/0"]);
  });

  it("are refused for every address of this machine that the operator has not listed", async () => {
    const body = await system.pushBody({ VideoSrc });
    const { port } = new URL(receiver.url("/"));
    for (const host of ["localhost", "127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "0.0.0.0"]) {
      const callback = { CallbackUrl: `http://${host}:${port}/guarded`, CallbackKey: receiver.key };
      const { status, body: answer } = await system.stack.client.submit({ ...body, ...callback });
      expect({ host, status }).toEqual({ host, status: 400 });
      expect(answer).toContain("CallbackUrl is invalid");
    }
    expect(receiver.at("/guarded")).toEqual([]);
  });
});
