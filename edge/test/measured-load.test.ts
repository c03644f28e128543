import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { CLOSE, type RegionList, type WorkerList } from "@roomcast/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker } from "./fake-worker.test-support.ts";
import { ADMIN, call, fresh, pushBody, start } from "./fixtures.test-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** Connects two workers in an unused region. */
async function pair() {
  const region = fresh("ap");
  const [a, b] = [fresh("wa"), fresh("wb")];
  return {
    region,
    a: await FakeWorker.connect({ workerId: a, region }),
    b: await FakeWorker.connect({ workerId: b, region }),
    aId: a,
    bId: b,
  };
}

async function shown(region: string): Promise<Map<string, WorkerList["workers"][number]>> {
  const { workers } = await (await call(`/v1/workers?Region=${region}`, { as: ADMIN })).json<WorkerList>();
  return new Map(workers.map((worker) => [worker.workerId, worker]));
}

async function startIn(region: string): Promise<string> {
  return start(await pushBody({ Region: region }));
}

/** Reserves units for an invented task and returns the chosen worker. */
async function reserveIn(region: string): Promise<string> {
  const reserved = await env.REGION.getByName(region).reserve({
    taskId: crypto.randomUUID(),
    attempt: 1,
    units: 10,
    protocol: 1,
    region,
    pinned: true,
    onlyWorkerId: null,
    avoidWorkerId: null,
  });
  if (reserved.kind === "noRoom") throw new Error("no room");
  return reserved.workerId;
}

/** Returns the worker that the task was dispatched to. */
async function holderOf(taskId: string, workers: readonly FakeWorker[]): Promise<FakeWorker> {
  return eventually(() => {
    const has = ({ frames }: FakeWorker) =>
      frames.some((frame) => frame.type === "dispatch" && frame.taskId === taskId);
    const holder = workers.find(has);
    if (holder === undefined) throw new Error(`${taskId} was not dispatched`);
    return holder;
  });
}

describe("Measured load", () => {
  it("is listed and gives the next task to the worker whose CPU is less busy", async () => {
    const { region, a, b, aId, bId } = await pair();
    await a.measures(0.8);
    await b.measures(0.3);
    expect((await shown(region)).get(aId)).toMatchObject({ loadUnits: 0, cpuLoad: 0.8, busy: false });
    expect((await shown(region)).get(bId)).toMatchObject({ loadUnits: 0, cpuLoad: 0.3, busy: false });
    expect(await holderOf(await startIn(region), [a, b])).toBe(b);
    // Now the loads are the other way round.
    await a.measures(0.3);
    await b.measures(0.8);
    expect(await holderOf(await startIn(region), [a, b])).toBe(a);
  });

  it("does not send a whole burst to the worker that was idle a moment ago", async () => {
    const { region, a, b, aId, bId } = await pair();
    await a.measures(0.35);
    await b.measures(0);
    const chosen: string[] = [];
    // Each task takes 10 of 200 units: seven of them equal the load that the other worker measured.
    for (let n = 0; n < 14; n += 1) chosen.push(await reserveIn(region));
    expect(chosen.slice(0, 6)).toEqual(Array.from({ length: 6 }, () => bId));
    expect(chosen.filter((workerId) => workerId === aId).length).toBeGreaterThanOrEqual(2);
  });

  it("spares a busy worker while another one has room, however many units that carries", async () => {
    const { region, a, b, aId, bId } = await pair();
    await a.measures(0.95);
    b.report([], 170);
    await b.next("heartbeat");
    expect((await shown(region)).get(aId)).toMatchObject({ cpuLoad: 0.95, busy: true });
    const { regions } = await (await call("/v1/regions", { as: ADMIN })).json<RegionList>();
    expect(regions.find((one) => one.region === region)).toMatchObject({ workers: 2, busy: 1, draining: 0 });
    for (let n = 0; n < 3; n += 1) expect(await reserveIn(region)).toBe(bId);
    // All 200 units of the other worker are used.
    expect(await reserveIn(region)).toBe(aId);
  });

  it("does not prevent placement when all workers are busy", async () => {
    const { region, a, b } = await pair();
    await a.measures(1);
    await b.measures(0.9);
    expect(await holderOf(await startIn(region), [a, b])).toBe(b);
  });

  it("is replaced by the carried units for a worker whose version does not measure", async () => {
    const region = fresh("ap");
    const [oldId, newId] = [fresh("old"), fresh("new")];
    const old = await FakeWorker.connect({ workerId: oldId, region, protocol: 1 });
    const young = await FakeWorker.connect({ workerId: newId, region });
    old.sendRaw('{"type":"report","load":{"units":100},"tasks":[]}');
    await old.next("heartbeat");
    await young.measures(0.7);
    expect((await shown(region)).get(oldId)).toMatchObject({ loadUnits: 100, cpuLoad: null, busy: false });
    expect(await holderOf(await startIn(region), [old, young])).toBe(old);
    await young.measures(0.2);
    expect(await holderOf(await startIn(region), [old, young])).toBe(young);
  });

  it("expires when it is not renewed, after which only the estimated units count", async () => {
    const { region, a, b, aId, bId } = await pair();
    b.report([], 100);
    await b.next("heartbeat");
    const setClock = (now: number) => vi.useFakeTimers({ toFake: ["Date"], now });
    const beforeMs = Date.now();
    setClock(beforeMs);
    await a.measures(0.95);
    const afterMs = Date.now();
    setClock(beforeMs + 5999);
    // The worker continues to report, but without a measurement.
    a.report([]);
    expect((await shown(region)).get(aId)).toMatchObject({ cpuLoad: 0.95, busy: true });
    expect(await reserveIn(region)).toBe(bId);
    setClock(afterMs + 6000);
    expect((await shown(region)).get(aId)).toMatchObject({ cpuLoad: null, busy: false });
    expect(await reserveIn(region)).toBe(aId);
  });

  it("is unknown after a restart of the region until the next report", async () => {
    const { region, a, aId } = await pair();
    await a.measures(0.95);
    await evictDurableObject(env.REGION.getByName(region));
    expect((await shown(region)).get(aId)).toMatchObject({ cpuLoad: null, busy: false });
    await a.measures(0.96);
    expect((await shown(region)).get(aId)).toMatchObject({ cpuLoad: 0.96, busy: true });
  });

  it("is forgotten with its connection and may be sent again in a hello", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const first = await FakeWorker.connect(at);
    await first.measures(0.95);
    const second = await FakeWorker.connect({ ...at, instanceId: first.instanceId });
    expect((await shown(at.region)).get(at.workerId)).toMatchObject({ cpuLoad: null, busy: false });
    await FakeWorker.connect({ ...at, instanceId: second.instanceId, cpu: 0.5 });
    expect((await shown(at.region)).get(at.workerId)).toMatchObject({ cpuLoad: 0.5, busy: false });
  });

  it.each([-0.1, 1.1, null, "0.5"])("closes the socket when a report has the CPU load %j", async (cpu) => {
    const worker = await FakeWorker.connect({ workerId: fresh("w"), region: fresh("ap") });
    worker.sendRaw(JSON.stringify({ type: "report", load: { units: 0, cpu }, tasks: [] }));
    expect(await worker.end()).toMatchObject({
      code: CLOSE.malformedFrame,
      reason: expect.stringContaining("load.cpu"),
    });
  });
});
