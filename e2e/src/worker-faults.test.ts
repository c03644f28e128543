import { SAMPLE_VIDEO, sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startCuttableLink } from "./harness/cuttable-link.ts";
import { FAULTS_SOON_NOTICED, type Pushed, TestSystem } from "./harness/test-system.ts";
import { startUnreliableLink } from "./harness/unreliable-link.ts";

const CLIP_S = 8;
const SHORT_CLIP_S = 2;
/** Longer than a task takes to move to another worker, and shorter than it plays. */
const SLOW_ROOM_MS = 6000;
const CLOCK_OFF_MS = 10 * 60_000;
const SHIFTED_CLOCK = new URL("harness/shifted-clock.mjs", import.meta.url).href;
const LONG_POLL = { timeout: 60_000, interval: 250 } as const;

let system: TestSystem;
let VideoSrc: string;
let ShortSrc: string;

beforeAll(async () => {
  const [clip, short] = await Promise.all([sampleClip({ durationS: CLIP_S }), sampleClip({ durationS: SHORT_CLIP_S })]);
  // Each test uses another region.
  system = await TestSystem.start({ workers: 0, edgeSettings: FAULTS_SOON_NOTICED });
  VideoSrc = system.stack.files.serve(clip);
  ShortSrc = system.stack.files.serve(short);
});

afterAll(() => system?.stop());

function publishes(pushed: Pushed): number {
  return system.user(pushed)?.publishes ?? 0;
}

// Each test waits for many steps in sequence, each of which may be slow on a busy machine.
describe.concurrent("Task", { timeout: 240_000 }, () => {
  afterAll(() => system.expectIdle());

  it("continues at another worker when its worker freezes, and the thawed worker does not enter the room again", async () => {
    const Region = "ap-frozen";
    await system.addReserve("awake", Region);
    const frozen = await system.stack.addWorker({ workerId: "frozen", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 1000);
    frozen.signal("SIGSTOP");
    // Its connection to the room is cut too, so that it will try to enter the room again.
    expect(system.stack.emulator.drop(pushed.seat)).toBe(true);
    await system.undrain("awake");
    await system.until(pushed, ({ attempt, state }) => attempt === 2 && state === "pushing");
    frozen.signal("SIGCONT");
    const task = await system.expectFinished(pushed);
    expect(task).toMatchObject({ workerId: "awake", attempt: 2 });
    expect(publishes(pushed)).toBe(2);
    system.expectOnePublisherAtATime(pushed);
    // The thawed worker can run tasks again.
    await vi.waitFor(async () => {
      const ids = (await system.stack.client.workers()).map(({ workerId }) => workerId);
      expect(ids).toContain("frozen");
    }, LONG_POLL);
  });

  it("keeps its seat at the next worker when the first worker was cut off before it entered the room", async () => {
    const Region = "ap-late";
    await using parts = new AsyncDisposableStack();
    const { edge, emulator } = system.stack;
    const link = await startCuttableLink(edge.port);
    parts.defer(() => link.stop());
    const roomUrl = new URL(emulator.rtmpUrl);
    const slowRoom = await startCuttableLink(Number(roomUrl.port), SLOW_ROOM_MS);
    parts.defer(() => slowRoom.stop());
    roomUrl.port = String(slowRoom.port);
    await system.addReserve("in-time", Region);
    await system.stack.addWorker({
      workerId: "late",
      region: Region,
      settings: { ROOMCAST_EDGE_URL: `http://127.0.0.1:${link.port}`, ROOMCAST_RTMP_URL: roomUrl.href },
    });
    const pushed = await system.push({ VideoSrc, Region });
    await system.until(pushed, ({ workerId, state }) => workerId === "late" && state === "starting");
    await vi.waitFor(() => expect(slowRoom.connections).toBe(1), LONG_POLL);
    await link.stop();
    await system.undrain("in-time");
    expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "in-time", attempt: 2 });
    expect(publishes(pushed)).toBe(1);
  });

  it.for([1, 2])(
    "ends once when frames between worker and edge are lost, doubled, reordered and malformed (seed %i)",
    async (seed) => {
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
      const outcomes = await system.outcomesOf(pushes);
      expect(outcomes).toMatchObject({ ABORTED: 2 });
      for (const pushed of pushes) system.expectOnePublisherAtATime(pushed);
      // The number of frames so far depends on the machine. The worker continues to report, so each fault occurs in time.
      await vi.waitFor(() => {
        const { lost, doubled, reordered, malformed } = link.fates;
        expect(Math.min(lost, doubled, reordered, malformed)).toBeGreaterThan(0);
      }, LONG_POLL);
      link.heal();
      for (const pushed of pushes) await system.expectNothingLeft(pushed);
    },
  );

  it("stays at its worker when a second worker with the same id connects, and the second works after the first", async () => {
    const Region = "ap-twins";
    const first = await system.stack.addWorker({ workerId: "twin", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 500);
    const second = await system.stack.addWorker({ workerId: "twin", region: Region });
    await vi.waitFor(() => expect(second.output()).toMatch(/Another process is connected/), LONG_POLL);
    await system.expectFinished(pushed);
    expect(await system.stack.client.task(pushed.taskId)).toMatchObject({ attempt: 1 });
    expect(publishes(pushed)).toBe(1);
    await first.kill();
    const next = await system.push({ VideoSrc: ShortSrc, Region });
    await system.expectFinished(next);
  });

  it.for([
    ["fast", CLOCK_OFF_MS],
    ["slow", -CLOCK_OFF_MS],
  ] as const)(
    "continues from its progress in Redis when its first worker's clock is ten minutes %s",
    async ([name, offsetMs]) => {
      const Region = `ap-clock-${name}`;
      await system.addReserve(`clock-${name}-right`, Region);
      const settings = { NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`, CLOCK_OFFSET_MS: String(offsetMs) };
      const off = await system.stack.addWorker({ workerId: `clock-${name}`, region: Region, settings });
      const pushed = await system.push({ VideoSrc, Region, ...system.stack.redisParameters() });
      await system.untilPosition(pushed, 2500);
      await off.kill();
      // The worker that continues has the right time. What the other one wrote into Redis must not hinder it.
      await system.undrain(`clock-${name}-right`);
      expect(await system.expectFinished(pushed)).toMatchObject({ attempt: 2 });
      const [before, after] = system.user(pushed)?.sessions ?? [];
      const all = sampleFrames({ durationS: CLIP_S });
      expect(after?.stream.video?.tags ?? 0).toBeLessThanOrEqual(all - SAMPLE_VIDEO.gopFrames / 2);
      expect(before?.endReason).toBe("disconnected");
    },
  );

  it("continues at another worker when its worker is drained, which takes no tasks until it is put back", async () => {
    const Region = "ap-drained-by-api";
    await system.addReserve("to-stay", Region);
    await system.stack.addWorker({ workerId: "to-drain", region: Region });
    const pushed = await system.push({ VideoSrc, Region });
    await system.untilPosition(pushed, 1000);
    await system.undrain("to-stay");
    await system.drain("to-drain");
    expect(await system.expectFinished(pushed)).toMatchObject({ workerId: "to-stay", attempt: 2 });
    expect(await system.stack.client.workers()).toContainEqual(
      expect.objectContaining({ workerId: "to-drain", draining: true, tasks: 0 }),
    );
    await system.undrain("to-drain");
    expect(await system.stack.client.workers()).toContainEqual(
      expect.objectContaining({ workerId: "to-drain", draining: false }),
    );
  });
});
