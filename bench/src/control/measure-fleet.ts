import { setTimeout as delay } from "node:timers/promises";
import type { EdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { REGION } from "@roomcast/dev/stack/stack-secrets";
import { cpuSecondsOf, pssBytesOf } from "../base/process-usage.ts";
import type { FleetLevel, FleetReport } from "./control-report.ts";
import { startFleet } from "./fleet.ts";
import { loadHttp } from "./http-load.ts";
import type { PushRequests } from "./push-requests.ts";

export interface MeasureFleetOptions {
  readonly edge: EdgeWorkerd;
  readonly requests: PushRequests;
  readonly workers: number;
  /** The number of tasks at each measurement, rising. */
  readonly levels: readonly number[];
  /** The duration of each measurement. */
  readonly seconds: number;
  /** The wait before each measurement: workerd evicts objects that were not used for 10 s. */
  readonly settleMs: number;
  readonly onProgress: (what: string) => void;
}

const CONNECT_TIMEOUT_MS = 60_000;
/** If no task starts for this time, something is broken. The total time depends on how busy the machine is. */
const STALL_TIMEOUT_MS = 60_000;
/** Tasks that are being created at the same time. */
const CREATES_AT_ONCE = 8;
/** Before its plan is known a task holds 10 units, then 4. */
const UNITS_PER_TASK = 10;

/** Measures the edge's cost of running tasks. The fleet is a separate process that reports each second and keeps running. */
export async function measureFleet(options: MeasureFleetOptions): Promise<FleetReport> {
  const { edge, requests, workers, levels, onProgress } = options;
  const most = Math.max(...levels);
  onProgress(`connecting ${workers} workers`);
  const fleet = await startFleet({
    edgeUrl: `ws://127.0.0.1:${edge.edgePort}`,
    region: REGION,
    workers,
    // Two random choices even the load out, but not perfectly.
    capacityUnits: Math.ceil((most / workers) * UNITS_PER_TASK * 4),
    secrets: edge.secrets,
  });
  const measureLevel = async (tasks: number): Promise<FleetLevel> => {
    onProgress(`${tasks} running tasks for ${options.seconds} s`);
    await delay(options.settleMs);
    const before = { edge: cpuSecondsOf([edge.pid]), fleet: cpuSecondsOf([fleet.pid]), atMs: performance.now() };
    await delay(options.seconds * 1000);
    const elapsedS = (performance.now() - before.atMs) / 1000;
    const edgeCpu = (cpuSecondsOf([edge.pid]) - before.edge) / elapsedS;
    const fleetCpu = (cpuSecondsOf([fleet.pid]) - before.fleet) / elapsedS;
    const news = await fleet.until(({ answers }) => answers > 0, CONNECT_TIMEOUT_MS);
    if (news.tasks !== tasks || news.taken.length > 0) {
      const taken = news.taken.map(({ reason, times }) => `\n${times} were taken back: ${reason}`);
      throw new Error(`${news.tasks} of ${tasks} tasks run.${taken.join("")}\n${edge.output()}`);
    }
    const level: FleetLevel = {
      tasks,
      edgeCores: edgeCpu,
      fleetCores: fleetCpu,
      edgePssMb: pssBytesOf([edge.pid]) / 1e6,
      reportsPerSecond: news.answers,
      reportAnswerP50Ms: news.answerP50Ms ?? Number.NaN,
      reportAnswerP99Ms: news.answerP99Ms ?? Number.NaN,
    };
    onProgress(
      `${edgeCpu.toFixed(3)} cores, ${level.edgePssMb.toFixed(0)} MB, reports answered in ${news.answerP99Ms} ms (p99)`,
    );
    return level;
  };
  try {
    await fleet.until((news) => news.workers === workers, CONNECT_TIMEOUT_MS);
    const idle = await measureLevel(0);
    const rows: FleetLevel[] = [];
    let created = 0;
    for (const level of levels) {
      onProgress(`starting ${level - created} more tasks`);
      const missing = level - created;
      await loadHttp({
        port: edge.edgePort,
        connections: CREATES_AT_ONCE,
        goesOn: (sent) => sent < missing,
        nextRequest: () => requests.nextCall(),
      });
      created = level;
      for (let running = -1; running < level; ) {
        ({ tasks: running } = await fleet.until(({ tasks }) => tasks > running, STALL_TIMEOUT_MS));
      }
      rows.push(await measureLevel(level));
    }
    return {
      workers,
      idle,
      levels: rows.map((row) => ({
        ...row,
        edgeCoresPer1000Tasks: (row.edgeCores - idle.edgeCores) / (row.tasks / 1000),
        pssKbPerTask: ((row.edgePssMb - idle.edgePssMb) * 1000) / row.tasks,
      })),
    };
  } finally {
    await fleet.stop();
  }
}
