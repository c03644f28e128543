import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCuttableLink } from "./harness/cuttable-link.ts";
import { FAULTS_SOON_NOTICED, TestSystem } from "./harness/test-system.ts";

const SHORT_CLIP_S = 2;
const LONG_CLIP_S = 60;
const LONG_POLL = { timeout: 60_000, interval: 250 } as const;

let system: TestSystem;
let ShortSrc: string;
let LongSrc: string;

beforeAll(async () => {
  const [short, long] = await Promise.all([
    sampleClip({ durationS: SHORT_CLIP_S }),
    sampleClip({ durationS: LONG_CLIP_S, size: { width: 320, height: 180 } }),
  ]);
  // Each test uses another region.
  system = await TestSystem.start({ workers: 0, redis: false, edgeSettings: FAULTS_SOON_NOTICED });
  ShortSrc = system.stack.files.serve(short);
  LongSrc = system.stack.files.serve(long);
});

afterAll(() => system?.stop());

/** Returns the status of every task that the edge lists, by the task's id. */
async function listedTasks(): Promise<ReadonlyMap<string, string>> {
  const statuses = new Map<string, string>();
  for (let offset = 0; ; offset += 100) {
    const { tasks } = await system.stack.client.tasks(`?limit=100&offset=${offset}`);
    for (const { taskId, status } of tasks) statuses.set(taskId, status);
    if (tasks.length < 100) return statuses;
  }
}

describe("Fleet", () => {
  describe("when the network fails", () => {
    afterAll(() => system.expectIdle());

    it("finishes each task when its worker's socket is cut every second for a minute", async () => {
      const Region = "ap-cut-often";
      await using parts = new AsyncDisposableStack();
      const link = await startCuttableLink(system.stack.edge.port);
      parts.defer(() => link.stop());
      await system.stack.addWorker({
        workerId: "cut-often",
        region: Region,
        settings: { ROOMCAST_EDGE_URL: `http://127.0.0.1:${link.port}` },
      });
      const cutting = setInterval(() => link.cut(), 1000);
      parts.defer(() => clearInterval(cutting));
      const pushes = await Promise.all([1, 2, 3].map(() => system.push({ VideoSrc: LongSrc, Region })));
      for (const pushed of pushes) {
        await system.untilEnded(pushed, LONG_CLIP_S * 1000 + LONG_POLL.timeout);
        system.expectOnePublisherAtATime(pushed);
      }
      clearInterval(cutting);
      expect(link.connections).toBeGreaterThan(LONG_CLIP_S / 3);
      expect(await system.outcomesOf(pushes)).toEqual({ FINISHED: 3 });
      for (const pushed of pushes) await system.expectNothingLeft(pushed);
    });
  });

  describe("when there are many tasks", () => {
    it("runs all of 200 tasks, never more than 50 at once, when workers have room for 50", async () => {
      const Region = "ap-crowded";
      // A copied stream takes 4 units.
      await system.stack.addWorker({
        workerId: "crowded",
        region: Region,
        settings: { ROOMCAST_CAPACITY_UNITS: "200" },
      });
      const bodies = await Promise.all(
        Array.from({ length: 200 }, () => system.pushBody({ VideoSrc: ShortSrc, Region, QueueTimeout: 300 })),
      );
      const taskIds = await Promise.all(bodies.map((body) => system.stack.client.push(body)));
      expect(await system.outcomesOf(taskIds.map((taskId) => ({ taskId })))).toEqual({ FINISHED: 200 });
      const seen = new Set(bodies.map(({ UserId }) => UserId));
      const users = system.stack.emulator
        .rooms()
        .flatMap((room) => room.users)
        .filter(({ userId }) => seen.has(userId));
      expect(users).toHaveLength(200);
      const sessions = users.flatMap((user) => user.sessions);
      expect(mostAtOnce(sessions)).toBeLessThanOrEqual(50);
      await system.expectIdle();
    });

    it("keeps and ends each answered create when the edge is killed in the middle of 1,000 creates", async () => {
      const Region = "ap-thousand";
      const bodies = await Promise.all(
        Array.from({ length: 1000 }, () => system.pushBody({ VideoSrc: ShortSrc, Region, QueueTimeout: 2 })),
      );
      const answered: string[] = [];
      let restarting: Promise<void> | undefined;
      const queue = bodies.values();
      const caller = async (): Promise<void> => {
        for (const body of queue) {
          const answer = await system.stack.client.submit(body).catch(() => undefined);
          if (answer?.status === 200 && answer.taskId !== null) answered.push(answer.taskId);
          if (answered.length >= 500) restarting ??= system.stack.restartEdge();
          await restarting;
        }
      };
      await Promise.all(Array.from({ length: 20 }, caller));
      expect(restarting).toBeDefined();
      expect(answered.length).toBeGreaterThan(900);
      await expect.poll(async () => (await system.stack.client.tasks("?status=RUNNING")).total, LONG_POLL).toBe(0);
      const listed = await listedTasks();
      expect(answered.filter((taskId) => listed.get(taskId) !== "FAILED")).toEqual([]);
      expect(await system.outcomesOf(answered.slice(-20).map((taskId) => ({ taskId })))).toEqual({
        "FAILED ResourceInsufficient": 20,
      });
      await system.expectIdle();
    });
  });
});

/** Returns the largest number of publishers that were in their rooms at the same time. */
function mostAtOnce(
  sessions: readonly { readonly publishedAtMs: number; readonly endedAtMs: number | null }[],
): number {
  const changes = sessions
    .flatMap(({ publishedAtMs, endedAtMs }) => [
      { atMs: publishedAtMs, by: 1 },
      { atMs: endedAtMs ?? Number.POSITIVE_INFINITY, by: -1 },
    ])
    .toSorted((a, b) => a.atMs - b.atMs || a.by - b.by);
  let now = 0;
  return Math.max(...changes.map(({ by }) => (now += by)));
}
