import { env } from "cloudflare:test";
import type { WorkerFrame } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import type { Env } from "../src/contracts/env.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { fresh, view } from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";

const bound: Env = env;
const error = { code: "FailedOperation.SourceLost", message: "It is lost.", retryable: true } as const;

type Lie = (ref: { readonly taskId: string; readonly attempt: number }) => WorkerFrame;

const LIES: Record<string, Lie> = {
  accepted: (ref) => ({ type: "accepted", ...ref }),
  refused: (ref) => ({ type: "refused", ...ref, error }),
  report: (ref) => ({ type: "report", load: { units: 4 }, tasks: [reportOf(ref, { positionMs: 99_000 })] }),
  "ended: finished": (ref) => ({ type: "ended", ...ref, positionMs: 99_000, outcome: { name: "finished" } }),
  "ended: released": (ref) => ({ type: "ended", ...ref, positionMs: 99_000, outcome: { name: "released" } }),
  logs: (ref) => ({ type: "logs", ...ref, lines: [{ atMs: 0, level: "info", message: "forged" }] }),
  updated: (ref) => ({ type: "updated", ...ref, updateId: crypto.randomUUID(), error: null }),
  confirm: (ref) => ({ type: "confirm", ...ref }),
};

/** Expects the task and the region's assignment, position and task count to be unchanged. */
async function expectUntouched({ taskId, at }: Awaited<ReturnType<typeof running>>) {
  const region = bound.REGION.getByName(at.region);
  expect(await region.holds(taskId, 1)).toBe(true);
  expect(await region.newestReport(taskId, 1)).toMatchObject({ progress: { positionMs: 5000 } });
  expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1, workerId: at.workerId });
  const workers = await region.workers(at.region);
  expect(workers.find(({ workerId }) => workerId === at.workerId)?.tasks).toBe(1);
}

describe("Frames of a lying worker", () => {
  it.each(Object.entries(LIES))("change nothing when they send %s about another worker's task", async (_name, lie) => {
    const push = await running();
    const liar = await FakeWorker.connect({ workerId: fresh("w"), region: push.at.region, capacityUnits: 0 });
    const ref = { taskId: push.taskId, attempt: 1 };
    liar.send(lie(ref));
    // Frames about one task are handled in order, so the forged frame has been handled when the end is acknowledged.
    liar.ended(ref, { name: "aborted", reason: "forged" });
    await liar.next("ack");
    await expectUntouched(push);
  });

  it("do not transfer another worker's task when a hello claims it", async () => {
    const push = await running();
    const ref = { taskId: push.taskId, attempt: 1 };
    const liar = await FakeWorker.connect({
      workerId: fresh("w"),
      region: push.at.region,
      capacityUnits: 0,
      running: [reportOf(ref, { positionMs: 99_000 })],
    });
    expect(await liar.next("welcome")).toMatchObject({ keep: [], stop: [ref] });
    await expectUntouched(push);
  });

  it("do not take a task from its worker when they claim an invented newer attempt", async () => {
    const push = await running();
    const liar = await FakeWorker.connect({ workerId: fresh("w"), region: push.at.region, capacityUnits: 0 });
    const ref = { taskId: push.taskId, attempt: 7 };
    liar.report([reportOf(ref)]);
    await liar.next("stop");
    liar.ended(ref, { name: "finished" });
    await liar.next("ack");
    await expectUntouched(push);
  });
});
