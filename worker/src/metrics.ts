import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { ACTIVE_STATES, type TaskReport } from "@roomcast/shared";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { MediaMeter } from "./publisher/metered-publisher.ts";

/** The values that the metrics are read from. */
export interface Measured {
  readonly tasks: {
    readonly reports: readonly TaskReport[];
    readonly loadUnits: number;
    readonly capacityUnits: number;
    readonly draining: boolean;
  };
  readonly cpu: { readonly load: number | null };
  readonly link: { readonly connected: boolean; readonly reconnects: number };
  readonly media: MediaMeter;
  readonly outbox: { readonly ended: readonly unknown[]; readonly droppedLines: number };
  readonly progress: { readonly connections: number };
}

/** The worker's metrics. Nothing is updated between two readings: each reading takes the current values. */
function createMetrics(measured: Measured): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const tasks = new Gauge({
    name: "roomcast_tasks",
    help: "Tasks that run now, by state.",
    labelNames: ["state"],
    registers: [],
    collect() {
      const { reports } = measured.tasks;
      for (const state of ACTIVE_STATES) this.set({ state }, reports.filter((task) => task.state === state).length);
    },
  });
  registry.registerMetric(tasks);
  const gauges: [name: string, help: string, read: () => number | null][] = [
    ["roomcast_load_units", "What the tasks take of the capacity.", () => measured.tasks.loadUnits],
    ["roomcast_capacity_units", "What this worker may carry.", () => measured.tasks.capacityUnits],
    ["roomcast_cpu_load", "How busy the CPU is, 0 to 1; absent while it is not known.", () => measured.cpu.load],
    ["roomcast_draining", "1 while no new tasks are taken.", () => Number(measured.tasks.draining)],
    ["roomcast_link_up", "1 while connected to the edge.", () => Number(measured.link.connected)],
    ["roomcast_outbox_ended", "Ended tasks that the edge has not acknowledged.", () => measured.outbox.ended.length],
    ["roomcast_redis_connections", "Connections to users' Redis.", () => measured.progress.connections],
  ];
  for (const [name, help, read] of gauges) {
    const gauge = new Gauge({
      name,
      help,
      registers: [],
      collect() {
        const value = read();
        if (value === null) this.remove();
        else this.set(value);
      },
    });
    registry.registerMetric(gauge);
  }
  const counters: [name: string, help: string, read: () => number][] = [
    ["roomcast_link_reconnects_total", "Sockets to the edge that were lost.", () => measured.link.reconnects],
    ["roomcast_video_messages_total", "Video messages sent into rooms.", () => measured.media.videoMessages],
    ["roomcast_audio_messages_total", "Audio messages sent into rooms.", () => measured.media.audioMessages],
    ["roomcast_payload_bytes_total", "Media bytes sent into rooms.", () => measured.media.payloadBytes],
    ["roomcast_log_lines_dropped_total", "Task log lines the edge never got.", () => measured.outbox.droppedLines],
  ];
  for (const [name, help, read] of counters) {
    const counter = new Counter({
      name,
      help,
      registers: [],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
    registry.registerMetric(counter);
  }
  return registry;
}

export interface MetricsServerOptions {
  readonly host: string;
  /** The port to listen on; 0 takes any free port. */
  readonly port: number;
  readonly measured: Measured;
}

export interface MetricsServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Serves `GET /metrics` (Prometheus' text format) and `GET /healthz`. */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const { measured } = options;
  const registry = createMetrics(measured);
  const server = createServer((request, response) => {
    void answer(request, response, { registry, measured });
  });
  server.listen(options.port, options.host);
  await once(server, "listening");
  return { port: portOf(server), stop: () => closed(server) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { registry, measured }: { readonly registry: Registry; readonly measured: Measured },
): Promise<void> {
  const path = request.url?.split("?", 1)[0];
  if (request.method !== "GET" || (path !== "/metrics" && path !== "/healthz")) {
    response.writeHead(404).end();
    return;
  }
  if (path === "/metrics") {
    const text = await registry.metrics();
    response.writeHead(200, { "content-type": registry.contentType }).end(text);
    return;
  }
  // A worker without a connection to the edge still plays its tasks: only one that drains wants no more traffic.
  const { tasks, link } = measured;
  const body = { status: tasks.draining ? "draining" : "ok", edge: link.connected ? "connected" : "away" };
  response.writeHead(tasks.draining ? 503 : 200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  const ended = once(server, "close");
  server.close();
  server.closeAllConnections();
  await ended;
}
