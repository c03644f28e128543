import { formatTable } from "../base/format-table.ts";

/** One side under load. */
export interface LoadReport {
  readonly perSecond: number;
  /** CPU time of workerd for each answer, up to the last one. */
  readonly cpuMicrosecondsEach: number;
  /** The CPU-seconds per second of workerd under load. They are clearly less than 1 if the client was the limit. */
  readonly cores: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Hellos and creates under the same load: the round whose ratio is the one in the middle. */
export interface CreatesRow {
  /** Kept alive, each with one request under way at a time. */
  readonly connections: number;
  /** A bare Hono `GET /hello` in the same workerd. */
  readonly hello: LoadReport;
  /** `POST /`, accepted. */
  readonly create: LoadReport;
  /** Creates per second / hellos per second. */
  readonly ratio: number;
  /** CPU of a hello / CPU of a create. */
  readonly cpuRatio: number;
}

export interface CreatesReport {
  /** The duration of each load, after a warm-up of each side. */
  readonly seconds: number;
  readonly rounds: number;
  readonly loads: readonly CreatesRow[];
  /** The most creates per second / the most hellos per second, each under whichever load that is. */
  readonly peakRatio: number;
  /**
   * Under the first of the loads: a call of a bare Hono app that makes a new Durable Object with one small write and an
   * alarm, in the same workerd; the round in the middle.
   */
  readonly object: LoadReport;
  /** New bare objects per second / hellos per second: one object for each task cannot do better. */
  readonly objectRatio: number;
  /** CPU time of workerd for each create after the last answer: objects are made, and look for a worker. */
  readonly afterwardsMicrosecondsEach: number;
  /** The time that this took. */
  readonly afterwardsS: number;
}

export interface DispatchReport {
  readonly runs: number;
  /** From the HTTP call to its answer. */
  readonly answerP50Ms: number;
  readonly answerP99Ms: number;
  /** From the HTTP call to the worker's having the task. */
  readonly dispatchP50Ms: number;
  readonly dispatchP99Ms: number;
}

/** The resources of the edge's process while this number of tasks ran. */
export interface FleetLevel {
  readonly tasks: number;
  /** CPU-seconds per second. */
  readonly edgeCores: number;
  readonly fleetCores: number;
  /** Proportional set size, MB (10^6 bytes). */
  readonly edgePssMb: number;
  readonly reportsPerSecond: number;
  /** From a worker's report to the edge's answer: how far the edge is behind. */
  readonly reportAnswerP50Ms: number;
  readonly reportAnswerP99Ms: number;
}

export interface FleetRow extends FleetLevel {
  /** Beyond what the connected workers cost without tasks. */
  readonly edgeCoresPer1000Tasks: number;
  readonly pssKbPerTask: number;
}

export interface FleetReport {
  readonly workers: number;
  /** All workers connected, no tasks. */
  readonly idle: FleetLevel;
  readonly levels: readonly FleetRow[];
}

export interface FailoverReport {
  readonly runs: number;
  /** From `kill -9` to the first picture of the next session in the room. */
  readonly medianMs: number;
  readonly worstMs: number;
  readonly timesMs: readonly number[];
}

export interface ControlReport {
  readonly suite: "control";
  /** Null if left out by `--only`. */
  readonly dispatch: DispatchReport | null;
  readonly fleet: FleetReport | null;
  readonly creates: CreatesReport | null;
  readonly failover: FailoverReport | null;
  readonly environment: {
    readonly cpus: number;
    readonly cpuModel: string;
    readonly node: string;
    readonly workerd: string;
    /** The place of the objects' databases. */
    readonly state: string;
  };
}

/** The report as a person reads it. */
export function formatControlReport({ dispatch, fleet, creates, failover, environment }: ControlReport): string {
  const { workerd, cpus, cpuModel, state } = environment;
  return [
    `The edge in one workerd ${workerd} (${cpus} CPUs, ${cpuModel}; databases in ${state})`,
    ...(creates === null ? [] : formatCreates(creates)),
    ...(dispatch === null ? [] : formatDispatch(dispatch)),
    ...(fleet === null ? [] : formatFleet(fleet)),
    ...(failover === null ? [] : formatFailover(failover)),
  ].join("\n");
}

function formatCreates({ seconds, rounds, loads, peakRatio, object, objectRatio, ...after }: CreatesReport): string[] {
  const columns = ["connections", "", "a second", "CPU each", "cores", "p50", "p99", "ratio", "by CPU"];
  const rows = loads.flatMap(({ connections, hello, create, ratio, cpuRatio }) => [
    [String(connections), "hello", ...loadCells(hello), "", ""],
    ["", "create", ...loadCells(create), ratio.toFixed(3), cpuRatio.toFixed(3)],
  ]);
  rows.push([String(loads[0]?.connections), "bare object", ...loadCells(object), objectRatio.toFixed(3), ""]);
  const { afterwardsMicrosecondsEach, afterwardsS } = after;
  return [
    "",
    `Creates in a burst against a bare Hono GET /hello, ${seconds} s each, the middle of ${rounds} rounds:`,
    ...formatTable(columns, rows).map((line) => `  ${line}`),
    `  the most creates to the most hellos: ${peakRatio.toFixed(3)}`,
    `  after the last answer: ${afterwardsMicrosecondsEach.toFixed(0)} µs CPU for each create, over ${afterwardsS.toFixed(0)} s`,
  ];
}

function loadCells({ perSecond, cpuMicrosecondsEach, cores, p50Ms, p99Ms }: LoadReport): string[] {
  return [perSecond.toFixed(0), `${cpuMicrosecondsEach.toFixed(0)} µs`, cores.toFixed(2), ms(p50Ms), ms(p99Ms)];
}

function formatDispatch({ runs, dispatchP50Ms, dispatchP99Ms, answerP50Ms, answerP99Ms }: DispatchReport): string[] {
  return [
    "",
    `HTTP call to the worker's having the dispatch, ${runs} runs: p50 ${ms(dispatchP50Ms)}, p99 ${ms(dispatchP99Ms)}`,
    `  (to the answer: p50 ${ms(answerP50Ms)}, p99 ${ms(answerP99Ms)})`,
  ];
}

function formatFleet({ workers, idle, levels }: FleetReport): string[] {
  const columns = ["tasks", "cores", "per 1000 tasks", "PSS", "per task", "reports/s", "answered p50", "p99"];
  const all: readonly (FleetLevel & Partial<FleetRow>)[] = [idle, ...levels];
  const rows = all.map((row) => [
    String(row.tasks),
    row.edgeCores.toFixed(3),
    row.edgeCoresPer1000Tasks?.toFixed(3) ?? "",
    `${row.edgePssMb.toFixed(0)} MB`,
    row.pssKbPerTask === undefined ? "" : `${row.pssKbPerTask.toFixed(0)} kB`,
    String(row.reportsPerSecond),
    ms(row.reportAnswerP50Ms),
    ms(row.reportAnswerP99Ms),
  ]);
  return ["", `${workers} workers that report each second:`, ...formatTable(columns, rows).map((line) => `  ${line}`)];
}

function formatFailover({ runs, medianMs, worstMs }: FailoverReport): string[] {
  return [
    "",
    `kill -9 of a worker to new video in the room, ${runs} runs: median ${ms(medianMs)}, worst ${ms(worstMs)}`,
  ];
}

function ms(value: number): string {
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`;
}
