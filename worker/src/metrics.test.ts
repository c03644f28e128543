import { afterEach, beforeEach, expect, test } from "vitest";
import { type Measured, type MetricsServer, startMetricsServer } from "./metrics.ts";

let server: MetricsServer;
let measured: { -readonly [Part in keyof Measured]: Measured[Part] };

beforeEach(async () => {
  measured = {
    tasks: {
      reports: ["pushing", "pushing", "starting"].map((state, n) => ({
        taskId: `11111111-1111-4111-8111-11111111111${n}`,
        attempt: 1,
        item: 0,
        // SAFETY: the list holds names of states.
        state: state as "pushing" | "starting",
        positionMs: 0,
        durationMs: null,
        bitRateKbps: 0,
        fps: 0,
        droppedFrames: 0,
        plan: null,
      })),
      loadUnits: 12,
      capacityUnits: 200,
      draining: false,
    },
    cpu: { load: 0.375 },
    link: { connected: true, reconnects: 3 },
    media: { videoMessages: 900, audioMessages: 1400, payloadBytes: 123_456 },
    outbox: { ended: [], droppedLines: 0 },
    progress: { connections: 1 },
  };
  server = await startMetricsServer({ host: "127.0.0.1", port: 0, measured });
});

afterEach(() => server.stop());

function get(path: string, init?: RequestInit): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

test("the metrics say how the worker is at the moment they are read", async () => {
  const response = await get("/metrics");
  expect(response.headers.get("content-type")).toContain("text/plain");
  const text = await response.text();
  for (const line of [
    'roomcast_tasks{state="pushing"} 2',
    'roomcast_tasks{state="starting"} 1',
    'roomcast_tasks{state="paused"} 0',
    "roomcast_load_units 12",
    "roomcast_capacity_units 200",
    "roomcast_cpu_load 0.375",
    "roomcast_link_up 1",
    "roomcast_link_reconnects_total 3",
    "roomcast_video_messages_total 900",
    "roomcast_payload_bytes_total 123456",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  measured.media = { videoMessages: 930, audioMessages: 1400, payloadBytes: 130_000 };
  expect(await (await get("/metrics")).text()).toContain("roomcast_video_messages_total 930");
});

test("how busy the CPU is stays out of the metrics while it is not known", async () => {
  measured.cpu = { load: null };
  expect(await (await get("/metrics")).text()).not.toMatch(/^roomcast_cpu_load /m);
  measured.cpu = { load: 0 };
  expect(await (await get("/metrics")).text()).toMatch(/^roomcast_cpu_load 0$/m);
});

test("a worker is healthy while the edge is away, because its tasks go on, and not while it drains", async () => {
  measured.link = { connected: false, reconnects: 4 };
  const away = await get("/healthz");
  expect([away.status, await away.json()]).toEqual([200, { status: "ok", edge: "away" }]);
  measured.tasks = { ...measured.tasks, draining: true };
  const draining = await get("/healthz");
  expect([draining.status, await draining.json()]).toEqual([503, { status: "draining", edge: "away" }]);
});

test("nothing else is served", async () => {
  expect((await get("/")).status).toBe(404);
  expect((await get("/metrics", { method: "POST" })).status).toBe(404);
});
