import { SAMPLE_VIDEO, sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { startCuttableLink } from "./harness/cuttable-link.ts";
import { type Pushed, TestSystem } from "./harness/test-system.ts";

const CLIP_S = 8;
const QUEUE_TIMEOUT_MS = 10_000;

let system: TestSystem;
let VideoSrc: string;

beforeAll(async () => {
  const clip = await sampleClip({ durationS: CLIP_S });
  // Each test has a region of its own, with the workers that it starts there.
  system = await TestSystem.start({
    workers: 0,
    redis: false,
    edgeSettings: { QUEUE_TIMEOUT_MS: String(QUEUE_TIMEOUT_MS), PLACE_RETRY_MS: "500" },
  });
  VideoSrc = system.stack.files.serve(clip);
});

afterAll(() => system?.stop());

/** How many pictures came in each session of the push's user, the oldest first. */
function framesOf(pushed: Pushed): number[] {
  return (system.user(pushed)?.sessions ?? []).map(({ stream }) => stream.video?.tags ?? 0);
}

/** The room saw the whole clip in two sessions, of which the second did not begin at the clip's beginning. */
function expectGoneOn(pushed: Pushed): void {
  const [first = 0, second = 0, ...more] = framesOf(pushed);
  const all = sampleFrames({ durationS: CLIP_S });
  expect(more).toEqual([]);
  expect(second).toBeLessThanOrEqual(all - SAMPLE_VIDEO.gopFrames);
  expect(first + second).toBeGreaterThanOrEqual(all * 0.95);
}

/** To a region without workers: no media is needed to see whether a task is lost. */
function hundredRequests() {
  return Promise.all(Array.from({ length: 100 }, () => system.pushBody({ VideoSrc, Region: "ap-storm" })));
}

describe.concurrent("a task", () => {
  afterAll(() => system.expectIdle());

  test("for which no worker is connected waits, then fails and says so", async () => {
    const pushed = await system.push({ VideoSrc, Region: "ap-empty" });
    expect(await system.stack.client.task(pushed.taskId)).toMatchObject({ status: "RUNNING", state: "queued" });
    const task = await system.expectFailed(pushed, {
      code: "ResourceInsufficient",
      message: /No worker is connected in region ap-empty/,
    });
    const waitedMs = Date.parse(task.endedAt ?? "") - Date.parse(task.createdAt);
    expect(waitedMs).toBeGreaterThanOrEqual(QUEUE_TIMEOUT_MS);
    expect(system.user(pushed)).toBeUndefined();
  });

  test("that waits for a worker runs when one comes", async () => {
    const pushed = await system.push({ VideoSrc, Region: "ap-late" });
    await system.stack.addWorker({ workerId: "late", region: "ap-late" });
    expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "late", attempt: 1 });
    expect(framesOf(pushed)).toHaveLength(1);
  });

  test("whose worker is killed goes on at another worker, from where it was, as its second attempt", async () => {
    const Region = "ap-killed";
    const doomed = await system.stack.addWorker({ workerId: "doomed", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.stack.addWorker({ workerId: "heir", region: Region });
    await system.untilPosition(pushed, 3500);
    await doomed.kill();
    expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "heir", attempt: 2 });
    expectGoneOn(pushed);
  });

  test("whose only worker is killed ends clearly", async () => {
    const Region = "ap-alone";
    const worker = await system.stack.addWorker({ workerId: "alone", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 500);
    await worker.kill();
    const task = await system.untilEnded(pushed);
    expect(task).toMatchObject({ state: "failed", attempt: 2, error: { code: "ResourceInsufficient" } });
    await system.expectNothingLeft(pushed);
  });

  test("whose worker is killed and started again under its id goes on there", async () => {
    const Region = "ap-again";
    const worker = await system.stack.addWorker({ workerId: "again", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 3500);
    await worker.kill();
    await system.stack.addWorker({ workerId: "again", region: Region });
    expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "again", attempt: 2 });
    expectGoneOn(pushed);
  });

  test("whose worker gets SIGTERM is handed over to another one, and the worker ends tidily", async () => {
    const Region = "ap-drained";
    const leaving = await system.stack.addWorker({ workerId: "leaving", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.stack.addWorker({ workerId: "staying", region: Region });
    await system.untilPosition(pushed, 3500);
    leaving.signal("SIGTERM");
    expect(await leaving.exited).toEqual({ code: 0, signal: null });
    expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "staying", attempt: 2 });
    expect(system.user(pushed)?.sessions[0]?.endReason).toBe("left");
    expectGoneOn(pushed);
  });

  test("is not disturbed when its worker's socket is cut, again and again", async () => {
    const Region = "ap-cut";
    const link = await startCuttableLink(system.stack.edge.port);
    try {
      await system.stack.addWorker({
        workerId: "cut",
        region: Region,
        settings: { ROOMCAST_EDGE_URL: `http://127.0.0.1:${link.port}` },
      });
      const pushed = await system.push({ VideoSrc, Region });
      for (const positionMs of [1000, 3000, 5000]) {
        await system.untilPosition(pushed, positionMs);
        const { connections } = link;
        link.cut();
        await vi.waitFor(() => expect(link.connections).toBeGreaterThan(connections), { timeout: 20_000 });
      }
      expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "cut", attempt: 1 });
      expect(framesOf(pushed)).toEqual([sampleFrames({ durationS: CLIP_S })]);
    } finally {
      await link.stop();
    }
  });
});

describe("the edge", () => {
  afterEach(() => system.expectIdle());

  test("killed and started again finds its tasks: media goes on, and each ends once", async () => {
    const Region = "ap-restart";
    await system.stack.addWorker({ workerId: "steady", region: Region });
    const running = await Promise.all(Array.from({ length: 3 }, () => system.push({ VideoSrc, Region })));
    const waiting = await system.push({ VideoSrc, Region: "ap-empty" });
    for (const pushed of running) await system.untilPosition(pushed, 500);
    await system.stack.restartEdge();
    for (const pushed of running) {
      expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "steady", attempt: 1 });
      expect(framesOf(pushed)).toEqual([sampleFrames({ durationS: CLIP_S })]);
    }
    await system.expectFailed(waiting, { code: "ResourceInsufficient", message: /ap-empty/ });
  });

  test("accepts a hundred that come at once, lists each of them, and stops each of them", async () => {
    const requests = await hundredRequests();
    const taskIds = await Promise.all(requests.map((request) => system.stack.client.push(request)));
    expect(new Set(taskIds).size).toBe(100);
    const { tasks } = await system.stack.client.tasks("?limit=100");
    expect(new Set(tasks.map(({ taskId }) => taskId))).toEqual(new Set(taskIds));
    await Promise.all(taskIds.map((taskId) => system.stack.client.stop(taskId)));
    for (const taskId of taskIds) expect(await system.untilEnded({ taskId })).toMatchObject({ status: "ABORTED" });
  });

  test("loses no accepted task of a hundred that come at once, though it is killed in the middle", async () => {
    const requests = await hundredRequests();
    const submitting = requests.map((request) => system.stack.client.submit(request));
    // In the middle: some are answered, some are not.
    await Promise.any(submitting);
    await system.stack.restartEdge();
    const answers = (await Promise.allSettled(submitting)).flatMap((answer) =>
      answer.status === "fulfilled" && answer.value.status === 200 ? [answer.value] : [],
    );
    expect(answers.length).toBeGreaterThan(0);
    for (const { taskId } of answers) {
      const ended = { status: "FAILED", error: { code: "ResourceInsufficient" } };
      expect(await system.untilEnded({ taskId: taskId ?? "" })).toMatchObject(ended);
    }
    await expect
      .poll(async () => (await system.stack.client.tasks("?status=RUNNING")).total, { timeout: 40_000, interval: 500 })
      .toBe(0);
  });
});
