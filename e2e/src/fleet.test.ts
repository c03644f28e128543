import { SAMPLE_VIDEO, sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startCuttableLink } from "./harness/cuttable-link.ts";
import { type Pushed, TestSystem } from "./harness/test-system.ts";

const CLIP_S = 6;
/** A worker is taken away at this position. It is behind the second keyframe, so that continuing differs from starting over. */
const LOST_AT_MS = 2500;
/** Long enough for a worker to start on a busy machine. */
const QUEUE_TIMEOUT_MS = 25_000;
/** The queue timeout of pushes for which no worker will connect, in seconds. */
const SHORT_QUEUE_TIMEOUT_S = 5;

let system: TestSystem;
let VideoSrc: string;

beforeAll(async () => {
  const clip = await sampleClip({ durationS: CLIP_S });
  // Each test uses another region, with the workers that it starts there.
  system = await TestSystem.start({
    workers: 0,
    redis: false,
    edgeSettings: {
      QUEUE_TIMEOUT_MS: String(QUEUE_TIMEOUT_MS),
      PLACE_RETRY_MS: "500",
      // Pushes name these regions before a worker connects there, or without any worker.
      REGIONS: "ap-empty,ap-late,ap-storm",
      // A worker on a busy machine may need long to dial again.
      WORKER_GRACE_MS: "3000",
    },
  });
  VideoSrc = system.stack.files.serve(clip);
});

afterAll(() => system?.stop());

/** Returns the number of pictures that came in each session of the push's user, the oldest session first. */
function framesOf(pushed: Pushed): number[] {
  return (system.user(pushed)?.sessions ?? []).map(({ stream }) => stream.video?.tags ?? 0);
}

/**
 * Expects that the room saw the clip in two sessions, of which the second did not begin at the clip's beginning. A copied
 * stream continues at the nearest keyframe, so up to half a group of pictures is missing.
 */
function expectContinued(pushed: Pushed): void {
  const [first = 0, second = 0, ...more] = framesOf(pushed);
  const all = sampleFrames({ durationS: CLIP_S });
  expect(more).toEqual([]);
  expect(second).toBeLessThanOrEqual(all - SAMPLE_VIDEO.gopFrames / 2);
  expect(first + second).toBeGreaterThanOrEqual(all * 0.95 - SAMPLE_VIDEO.gopFrames / 2);
}

/** Expects that the room saw the whole clip in one session. */
function expectOneSession(pushed: Pushed): void {
  expect(framesOf(pushed)).toHaveLength(1);
  expect(framesOf(pushed)[0]).toBeGreaterThanOrEqual(sampleFrames({ durationS: CLIP_S }));
}

/** Starts two workers in a region and a push that runs at one of them, and waits until it is behind its second keyframe. */
async function pushedToOneOfTwo(Region: string) {
  const workerIds = [`${Region}-1`, `${Region}-2`];
  const workers = await Promise.all(
    workerIds.map(async (workerId) => ({
      workerId,
      worker: await system.stack.addWorker({ workerId, region: Region }),
    })),
  );
  const pushed = await system.push({ VideoSrc, Region });
  const { workerId } = await system.untilPosition(pushed, LOST_AT_MS);
  const holder = workers.find((each) => each.workerId === workerId);
  const other = workers.find((each) => each.workerId !== workerId);
  if (holder === undefined || other === undefined)
    throw new Error(`The task is at ${workerId}, which is not a worker of its region.`);
  return { pushed, holder, other };
}

/** Returns requests for a region without workers: no media is needed to see whether a task is lost. */
function hundredRequests() {
  const push = { VideoSrc, Region: "ap-storm", QueueTimeout: SHORT_QUEUE_TIMEOUT_S };
  return Promise.all(Array.from({ length: 100 }, () => system.pushBody(push)));
}

describe("Fleet", () => {
  describe.concurrent("as the place where a task runs", () => {
    afterAll(() => system.expectIdle());

    it("queues a task, then fails it with the reason when no worker is connected", async () => {
      const pushed = await system.push({ VideoSrc, Region: "ap-empty", QueueTimeout: SHORT_QUEUE_TIMEOUT_S });
      expect(await system.stack.client.task(pushed.taskId)).toMatchObject({ status: "RUNNING", state: "queued" });
      const task = await system.expectFailed(pushed, {
        code: "ResourceInsufficient",
        message: /No worker is connected in region ap-empty/,
      });
      const waitedMs = Date.parse(task.endedAt ?? "") - Date.parse(task.createdAt);
      expect(waitedMs).toBeGreaterThanOrEqual(SHORT_QUEUE_TIMEOUT_S * 1000);
      expect(system.user(pushed)).toBeUndefined();
    });

    it("runs a queued task when a worker connects", async () => {
      const pushed = await system.push({ VideoSrc, Region: "ap-late" });
      await system.stack.addWorker({ workerId: "late", region: "ap-late" });
      expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "late", attempt: 1 });
      expect(framesOf(pushed)).toHaveLength(1);
    });

    it("continues a task at another worker, from its position, as its second attempt when its worker is killed", async () => {
      const { pushed, holder, other } = await pushedToOneOfTwo("ap-killed");
      await holder.worker.kill();
      expect(await system.expectFinished(pushed)).toMatchObject({ workerId: other.workerId, attempt: 2 });
      expectContinued(pushed);
    });

    it("fails a task with ResourceInsufficient when its only worker is killed", async () => {
      const Region = "ap-alone";
      const worker = await system.stack.addWorker({ workerId: "alone", region: Region });
      const pushed = await system.push({ VideoSrc, Region, QueueTimeout: SHORT_QUEUE_TIMEOUT_S });
      await system.untilPosition(pushed, 500);
      await worker.kill();
      const task = await system.untilEnded(pushed);
      expect(task).toMatchObject({ state: "failed", attempt: 2, error: { code: "ResourceInsufficient" } });
      await system.expectNothingLeft(pushed);
    });

    it("continues a task at the same worker when it is killed and restarted under its id", async () => {
      const Region = "ap-again";
      const worker = await system.stack.addWorker({ workerId: "again", region: Region });
      const pushed = await system.push({ VideoSrc, Region });
      await system.untilPosition(pushed, LOST_AT_MS);
      await worker.kill();
      await system.stack.addWorker({ workerId: "again", region: Region });
      expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "again", attempt: 2 });
      expectContinued(pushed);
    });

    it("hands a task over to another worker when its worker gets SIGTERM, and that worker exits with 0", async () => {
      const { pushed, holder, other } = await pushedToOneOfTwo("ap-drained");
      holder.worker.signal("SIGTERM");
      expect(await holder.worker.exited).toEqual({ code: 0, signal: null });
      expect(await system.expectFinished(pushed)).toMatchObject({ workerId: other.workerId, attempt: 2 });
      expect(system.user(pushed)?.sessions[0]?.endReason).toBe("left");
      expectContinued(pushed);
    });

    it("does not disturb a task when its worker's socket is cut three times", async () => {
      const Region = "ap-cut";
      const link = await startCuttableLink(system.stack.edge.port);
      try {
        await system.stack.addWorker({
          workerId: "cut",
          region: Region,
          settings: { ROOMCAST_EDGE_URL: `http://127.0.0.1:${link.port}` },
        });
        const pushed = await system.push({ VideoSrc, Region });
        for (const positionMs of [500, 2000, 3500]) {
          await system.untilPosition(pushed, positionMs);
          const { connections } = link;
          link.cut();
          await vi.waitFor(() => expect(link.connections).toBeGreaterThan(connections), { timeout: 20_000 });
        }
        expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "cut", attempt: 1 });
        expectOneSession(pushed);
      } finally {
        await link.stop();
      }
    });
  });

  it("reports the CPU load of a worker", async () => {
    await system.stack.addWorker({ workerId: "measuring", region: "ap-measuring" });
    await vi.waitFor(
      async () => {
        const workers = await system.stack.client.workers();
        // A process that has just started has used CPU time, whatever else this machine does.
        expect(workers.find(({ workerId }) => workerId === "measuring")?.cpuLoad).toBeGreaterThan(0);
      },
      { timeout: 20_000, interval: 100 },
    );
  });

  describe("when the edge is killed", () => {
    afterEach(() => system.expectIdle());

    it("continues the media of running tasks without a cut, and each ends once", async () => {
      const Region = "ap-restart";
      await system.stack.addWorker({ workerId: "steady", region: Region });
      const running = await Promise.all(Array.from({ length: 3 }, () => system.push({ VideoSrc, Region })));
      for (const pushed of running) await system.untilPosition(pushed, 500);
      await system.stack.restartEdge();
      for (const pushed of running) {
        expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "steady", attempt: 1 });
        expectOneSession(pushed);
      }
    });

    it("loses no accepted task of a hundred, nor of the next hundred, during which the edge is killed", async () => {
      const first = await Promise.all((await hundredRequests()).map((request) => system.stack.client.push(request)));
      expect(new Set(first).size).toBe(100);
      const { tasks } = await system.stack.client.tasks("?limit=100");
      expect(new Set(tasks.map(({ taskId }) => taskId))).toEqual(new Set(first));

      const submitting = (await hundredRequests()).map((request) => system.stack.client.push(request));
      // At this moment some requests are answered and some are not.
      await Promise.any(submitting);
      await system.stack.restartEdge();
      const second = (await Promise.allSettled(submitting)).flatMap((answer) =>
        answer.status === "fulfilled" ? [answer.value] : [],
      );
      expect(second.length).toBeGreaterThan(0);

      await expect
        .poll(async () => (await system.stack.client.tasks("?status=RUNNING")).total, {
          timeout: 40_000,
          interval: 500,
        })
        .toBe(0);
      const pages = await Promise.all(
        [0, 100].map((offset) => system.stack.client.tasks(`?limit=100&offset=${offset}`)),
      );
      const failed = pages.flatMap(({ tasks: page }) => page.filter(({ status }) => status === "FAILED"));
      expect(failed.map(({ taskId }) => taskId)).toEqual(expect.arrayContaining([...first, ...second]));
      for (const taskId of [first[0], second[0]]) {
        const { error } = await system.stack.client.task(taskId ?? "");
        expect(error?.code).toBe("ResourceInsufficient");
      }
    });
  });
});
