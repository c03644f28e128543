import { SAMPLE_VIDEO, sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startCuttableLink } from "./harness/cuttable-link.ts";
import { type Pushed, TestSystem } from "./harness/test-system.ts";
import { startUnreliableLink } from "./harness/unreliable-link.ts";

const CLIP_S = 8;
const SHORT_CLIP_S = 2;
const LONG_CLIP_S = 60;
const CLOCK_OFF_MS = 10 * 60_000;
const SHIFTED_CLOCK = new URL("harness/shifted-clock.mjs", import.meta.url).href;
const PATIENT = { timeout: 60_000, interval: 250 } as const;

let system: TestSystem;
let VideoSrc: string;
let ShortSrc: string;
let LongSrc: string;

beforeAll(async () => {
  const [clip, short, long] = await Promise.all([
    sampleClip({ durationS: CLIP_S }),
    sampleClip({ durationS: SHORT_CLIP_S }),
    sampleClip({ durationS: LONG_CLIP_S, size: { width: 320, height: 180 } }),
  ]);
  // Each test has a region of its own. Faults are noticed soon, so that they are also over soon.
  system = await TestSystem.start({
    workers: 0,
    edgeSettings: {
      PLACE_RETRY_MS: "3000",
      REPORT_INTERVAL_MS: "250",
      HEARTBEAT_TIMEOUT_MS: "4000",
      HELLO_TIMEOUT_MS: "2000",
      ACCEPT_TIMEOUT_MS: "4000",
      STOP_TIMEOUT_MS: "4000",
      // A busy machine may take its time to dial again.
      WORKER_GRACE_MS: "2000",
    },
  });
  VideoSrc = system.stack.files.serve(clip);
  ShortSrc = system.stack.files.serve(short);
  LongSrc = system.stack.files.serve(long);
});

afterAll(() => system?.stop());

/** Takes a worker out of service, or puts it back. */
async function drain(workerId: string, method: "POST" | "DELETE" = "POST"): Promise<void> {
  const response = await system.stack.client.fetch(`/v1/workers/${workerId}/drain`, { method });
  expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 200 });
}

/** A worker that is ready to take over, and takes nothing before `drain(…, "DELETE")`. */
async function addReserve(workerId: string, region: string): Promise<void> {
  await system.stack.addWorker({ workerId, region });
  await drain(workerId);
}

/** At no time had the push's user two publishers in the room, but for the moment in which one takes the other's place. */
function expectOnePublisherAtATime(pushed: Pushed): void {
  const sessions = system.user(pushed)?.sessions ?? [];
  const togetherMs = sessions.flatMap(({ endedAtMs }, index) => {
    const next = sessions[index + 1];
    return next === undefined ? [] : [(endedAtMs ?? Number.POSITIVE_INFINITY) - next.publishedAtMs];
  });
  expect(togetherMs.filter((ms) => ms >= 100)).toEqual([]);
}

function publishes(pushed: Pushed): number {
  return system.user(pushed)?.publishes ?? 0;
}

/** Once `taskIds` have all ended: how many ended as what. */
async function outcomesOf(taskIds: readonly string[]): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (const taskId of taskIds) {
    const { status, error } = await system.untilEnded({ taskId }, PATIENT.timeout);
    const outcome = error === null ? status : `${status} ${error.code}`;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}

/** The status of every task that the edge knows, by its id. */
async function listedTasks(): Promise<ReadonlyMap<string, string>> {
  const statuses = new Map<string, string>();
  for (let offset = 0; ; offset += 100) {
    const { tasks } = await system.stack.client.tasks(`?limit=100&offset=${offset}`);
    for (const { taskId, status } of tasks) statuses.set(taskId, status);
    if (tasks.length < 100) return statuses;
  }
}

describe.concurrent("a task survives", () => {
  afterAll(() => system.expectIdle());

  test("a worker that freezes: another one goes on, and the thawed one does not come back into the room", async () => {
    const Region = "ap-frozen";
    await addReserve("awake", Region);
    const frozen = await system.stack.addWorker({ workerId: "frozen", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 1000);
    frozen.signal("SIGSTOP");
    // Its connection to the room is gone too, so that it will want to enter the room again.
    expect(system.stack.emulator.drop(pushed.seat)).toBe(true);
    await drain("awake", "DELETE");
    await system.until(pushed, ({ attempt, state }) => attempt === 2 && state === "pushing");
    frozen.signal("SIGCONT");
    const task = await system.expectFinished(pushed);
    expect(task).toMatchObject({ workerId: "awake", attempt: 2 });
    expect(publishes(pushed)).toBe(2);
    expectOnePublisherAtATime(pushed);
    // The thawed worker is of use again.
    await vi.waitFor(async () => {
      const ids = (await system.stack.client.workers()).map(({ workerId }) => workerId);
      expect(ids).toContain("frozen");
    }, PATIENT);
  });

  test("a socket that is cut every second, for a minute", async () => {
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
      await system.untilEnded(pushed, LONG_CLIP_S * 1000 + PATIENT.timeout);
      expectOnePublisherAtATime(pushed);
    }
    clearInterval(cutting);
    expect(link.connections).toBeGreaterThan(LONG_CLIP_S / 3);
    expect(await outcomesOf(pushes.map(({ taskId }) => taskId))).toEqual({ FINISHED: 3 });
    for (const pushed of pushes) await system.expectNothingLeft(pushed);
  });

  test.for([1, 2])("frames that are lost, doubled, reordered and malformed (seed %i)", async (seed) => {
    const Region = `ap-unreliable-${seed}`;
    await using parts = new AsyncDisposableStack();
    const link = await startUnreliableLink(system.stack.edge.port, seed);
    parts.defer(() => link.stop());
    await system.stack.addWorker({
      workerId: Region,
      region: Region,
      settings: { ROOMCAST_EDGE_URL: `http://127.0.0.1:${link.port}` },
    });
    const pushes = await Promise.all(Array.from({ length: 6 }, () => system.push({ VideoSrc, Region })));
    for (const pushed of pushes.slice(0, 2)) await system.stack.client.stop(pushed.taskId);
    const outcomes = await outcomesOf(pushes.map(({ taskId }) => taskId));
    expect(outcomes).toMatchObject({ ABORTED: 2 });
    for (const pushed of pushes) expectOnePublisherAtATime(pushed);
    // How many frames that took depends on the machine; the worker goes on reporting until all of it has happened.
    await vi.waitFor(() => {
      const { lost, doubled, reordered, malformed } = link.fates;
      expect(Math.min(lost, doubled, reordered, malformed)).toBeGreaterThan(0);
    }, PATIENT);
    link.heal();
    for (const pushed of pushes) await system.expectNothingLeft(pushed);
  });

  test("a second worker under the same id: the first keeps its task, the second waits its turn", async () => {
    const Region = "ap-twins";
    const first = await system.stack.addWorker({ workerId: "twin", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 500);
    const second = await system.stack.addWorker({ workerId: "twin", region: Region });
    await vi.waitFor(() => expect(second.output()).toMatch(/Another process is connected/), PATIENT);
    await system.expectFinished(pushed);
    expect(await system.stack.client.task(pushed.taskId)).toMatchObject({ attempt: 1 });
    expect(publishes(pushed)).toBe(1);
    await first.kill();
    const next = await system.push({ VideoSrc: ShortSrc, Region });
    await system.expectFinished(next);
  });

  test.for([
    ["fast", CLOCK_OFF_MS],
    ["slow", -CLOCK_OFF_MS],
  ] as const)("a worker whose clock is ten minutes %s, with progress in Redis", async ([name, offsetMs]) => {
    const Region = `ap-clock-${name}`;
    await addReserve(`clock-${name}-right`, Region);
    const settings = { NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`, CLOCK_OFFSET_MS: String(offsetMs) };
    const off = await system.stack.addWorker({ workerId: `clock-${name}`, region: Region, settings });
    const pushed = await system.push({ VideoSrc, Region, ...system.stack.redisParameters() });
    await system.untilPosition(pushed, 2500);
    await off.kill();
    // The one that goes on has the right time: what the other wrote into Redis must not keep it out.
    await drain(`clock-${name}-right`, "DELETE");
    expect(await system.expectFinished(pushed)).toMatchObject({ attempt: 2 });
    const [before, after] = system.user(pushed)?.sessions ?? [];
    const all = sampleFrames({ durationS: CLIP_S });
    expect(after?.stream.video?.tags ?? 0).toBeLessThanOrEqual(all - SAMPLE_VIDEO.gopFrames / 2);
    expect(before?.endReason).toBe("disconnected");
  });

  test("a worker that is drained: another one goes on, and it takes nothing until it is put back", async () => {
    const Region = "ap-drained-by-api";
    await addReserve("to-stay", Region);
    await system.stack.addWorker({ workerId: "to-drain", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 1000);
    await drain("to-stay", "DELETE");
    await drain("to-drain");
    expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "to-stay", attempt: 2 });
    expect(await system.stack.client.workers()).toContainEqual(
      expect.objectContaining({ workerId: "to-drain", draining: true, tasks: 0 }),
    );
    await drain("to-drain", "DELETE");
    expect(await system.stack.client.workers()).toContainEqual(
      expect.objectContaining({ workerId: "to-drain", draining: false }),
    );
  });
});

describe("many tasks", () => {
  test("200 for 50 places: all of them run, never more than 50 at once", async () => {
    const Region = "ap-crowded";
    // A copied stream takes 4 units.
    await system.stack.addWorker({ workerId: "crowded", region: Region, settings: { ROOMCAST_CAPACITY_UNITS: "200" } });
    const bodies = await Promise.all(
      Array.from({ length: 200 }, () => system.pushBody({ VideoSrc: ShortSrc, Region, QueueTimeout: 300 })),
    );
    const taskIds = await Promise.all(bodies.map((body) => system.stack.client.push(body)));
    expect(await outcomesOf(taskIds)).toEqual({ FINISHED: 200 });
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

  test("1,000 creates in the middle of which the edge is killed: each answered one is found and ends once", async () => {
    const Region = "ap-thousand";
    const bodies = await Promise.all(
      Array.from({ length: 1000 }, () => system.pushBody({ VideoSrc, Region, QueueTimeout: 2 })),
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
    await expect.poll(async () => (await system.stack.client.tasks("?status=RUNNING")).total, PATIENT).toBe(0);
    const listed = await listedTasks();
    expect(answered.filter((taskId) => listed.get(taskId) !== "FAILED")).toEqual([]);
    expect(await outcomesOf(answered.slice(-20))).toEqual({ "FAILED ResourceInsufficient": 20 });
    await system.expectIdle();
  });
});

/** How many publishers were in their rooms at the same time, at most. */
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
