import { expect, test } from "vitest";
import { FakeWorker, reportOf } from "./testing/fake-worker.ts";
import { fresh, pushBody, reaches, start, view } from "./testing/fixtures.ts";

test("a push is placed on a connected worker, reported, and ends finished", async () => {
  const region = fresh("ap");
  const worker = await FakeWorker.connect({ workerId: fresh("w"), region });
  const body = await pushBody({ Region: region });
  const taskId = await start(body);

  const dispatch = await worker.next("dispatch");
  expect(dispatch).toMatchObject({ taskId, attempt: 1, resumeAtMs: null, request: body });
  worker.send({ type: "accepted", taskId, attempt: 1 });
  worker.report([reportOf(dispatch, { positionMs: 1234 })]);
  const pushing = await reaches(taskId, "pushing");
  expect(pushing).toMatchObject({ status: "RUNNING", attempt: 1, region, plan: { video: "copy" } });

  worker.ended(dispatch, { name: "finished" });
  await worker.next("ack");
  const finished = await view(taskId);
  expect(finished).toMatchObject({ status: "FINISHED", state: "finished", error: null, reason: null });
  expect(finished.progress?.positionMs).toBe(30_000);
});
