import { setTimeout as delay } from "node:timers/promises";
import type { EdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { percentile } from "../base/median.ts";
import { cpuSecondsOf } from "../base/process-usage.ts";
import type { CreatesReport, CreatesRow, LoadReport } from "./control-report.ts";
import { type HttpLoadOptions, loadHttp } from "./http-load.ts";
import { startMeasuredEdge } from "./measured-edge.ts";
import { pushRequests } from "./push-requests.ts";

export interface MeasureCreatesOptions {
  /** Numbers of connections; hellos and creates are measured under each of them. */
  readonly loads: readonly [number, ...number[]];
  /** The duration of each load. All creates of a round are one burst of less than 10 s. */
  readonly seconds: number;
  readonly rounds: number;
  readonly onProgress: (what: string) => void;
  readonly signal: AbortSignal;
}

const HELLO_CALL = "GET /hello HTTP/1.1\r\nHost: yardstick.example\r\n\r\n";
const OBJECT_CALL = "GET /object HTTP/1.1\r\nHost: yardstick.example\r\n\r\n";

/** There is no worker here. What waiting for one costs, and giving up, is no part of a create. */
const WITHOUT_WORKERS = { PLACE_RETRY_MS: "3600000", QUEUE_TIMEOUT_MS: "3600000" };

/** Less than this much of a core is used by an edge that has nothing left to do, and its tasks' waiting. */
const QUIET_CORES = 0.15;
/** workerd puts an object away that nobody has needed for 10 s. */
const EVICTION_MS = 15_000;
const QUIET_TIMEOUT_MS = 300_000;

/** A longer load is not a burst for the edge: after this time, objects are made as creates come. */
const MAX_BURST_S = 10;
/** Before the first measurement of each side: its code is compiled, its heap grows. */
const WARM_UP_S = 1;

/** Both sides under one load. */
interface Pair {
  readonly connections: number;
  readonly hello: LoadReport;
  readonly create: LoadReport;
}

interface Round {
  readonly object: LoadReport;
  readonly pairs: readonly Pair[];
  readonly created: number;
}

/** The cost of accepted tasks after the last answer. */
interface Afterwards {
  readonly cpuSeconds: number;
  readonly elapsedS: number;
}

/**
 * Accepted creates beside the yardsticks, one after another, by the same client in the same workerd. Each round has a
 * workerd of its own, because tasks that were accepted go on after the answer; how they do is looked at after the last.
 */
export async function measureCreates(options: MeasureCreatesOptions): Promise<CreatesReport> {
  const { loads, seconds, rounds, onProgress, signal } = options;
  const burstS = WARM_UP_S + loads.length * seconds;
  if (burstS >= MAX_BURST_S) throw new Error(`A burst of ${burstS} s is none: expected less than ${MAX_BURST_S} s.`);
  const measured: Round[] = [];
  let afterwards: Afterwards = { cpuSeconds: Number.NaN, elapsedS: Number.NaN };
  for (let round = 0; round < rounds; round += 1) {
    onProgress(`hellos, new objects and creates, ${round + 1} of ${rounds}`);
    const edge = await startMeasuredEdge(WITHOUT_WORKERS);
    signal.addEventListener("abort", () => void edge.stop());
    try {
      measured.push(await measureRound(edge, { loads, seconds, first: round % loads.length }));
      if (round === rounds - 1) afterwards = await untilQuiet(edge);
    } finally {
      await edge.stop();
    }
  }
  const pairs = measured.flatMap((round) => round.pairs);
  const rows = loads.map((connections) => rowOf(pairs.filter((pair) => pair.connections === connections)));
  const [firstRow] = rows;
  const last = measured.at(-1);
  if (firstRow === undefined || last === undefined) throw new Error("Nothing was measured.");
  const object = middle(
    measured.map((round) => round.object),
    ({ perSecond }) => perSecond,
  );
  const most = (side: "hello" | "create") => Math.max(...rows.map((row) => row[side].perSecond));
  return {
    seconds,
    rounds,
    loads: rows,
    peakRatio: most("create") / most("hello"),
    object,
    objectRatio: object.perSecond / firstRow.hello.perSecond,
    afterwardsMicrosecondsEach: (afterwards.cpuSeconds / last.created) * 1e6,
    afterwardsS: afterwards.elapsedS,
  };
}

/** @param pairs of one load, from each round */
function rowOf(pairs: readonly Pair[]): CreatesRow {
  const pair = middle(pairs, rateRatio);
  const { hello, create } = pair;
  return { ...pair, ratio: rateRatio(pair), cpuRatio: hello.cpuMicrosecondsEach / create.cpuMicrosecondsEach };
}

function rateRatio({ hello, create }: Pair): number {
  return create.perSecond / hello.perSecond;
}

async function measureRound(
  edge: EdgeWorkerd,
  { loads, seconds, first }: Pick<MeasureCreatesOptions, "loads" | "seconds"> & { readonly first: number },
): Promise<Round> {
  const [objectLoad] = loads;
  const load = (port: number, nextRequest: () => string) => (connections: number, forS: number) =>
    loadEdge(edge, { port, connections, goesOn: (_sent, elapsedMs) => elapsedMs < forS * 1000, nextRequest });
  const object = load(edge.companionPort, () => OBJECT_CALL);
  const hello = load(edge.companionPort, () => HELLO_CALL);
  const requests = await pushRequests(edge);
  let created = 0;
  const create = load(edge.edgePort, () => {
    created += 1;
    return requests.nextCall();
  });
  await object(objectLoad, WARM_UP_S);
  const objects = await object(objectLoad, seconds);
  // workerd takes as many objects away again later on.
  await delay(EVICTION_MS);
  // The first and the last load in a burst are different ones in each round.
  const order = [...loads.slice(first), ...loads.slice(0, first)];
  const underEach = async (side: typeof hello): Promise<LoadReport[]> => {
    await side(objectLoad, WARM_UP_S);
    const reports: LoadReport[] = [];
    for (const connections of order) reports.push(await side(connections, seconds));
    return reports;
  };
  // Not in turn: after a pause of creates their objects are made, beside which a hello takes longer.
  const hellos = await underEach(hello);
  const creates = await underEach(create);
  const pairs = order.map((connections, at) => {
    // SAFETY: there is a report for each load.
    return { connections, hello: hellos[at] as LoadReport, create: creates[at] as LoadReport };
  });
  return { object: objects, pairs, created };
}

async function loadEdge(edge: EdgeWorkerd, options: HttpLoadOptions): Promise<LoadReport> {
  const cpuBefore = cpuSecondsOf([edge.pid]);
  const { perSecond, latenciesMs } = await loadHttp(options);
  const cpuSecondsEach = (cpuSecondsOf([edge.pid]) - cpuBefore) / latenciesMs.length;
  return {
    perSecond,
    cpuMicrosecondsEach: cpuSecondsEach * 1e6,
    cores: cpuSecondsEach * perSecond,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
  };
}

/** Until every accepted task has its object, and has looked for a worker once. */
async function untilQuiet(edge: EdgeWorkerd): Promise<Afterwards> {
  const startedAtMs = performance.now();
  const firstCpu = cpuSecondsOf([edge.pid]);
  for (let cpu = firstCpu; ; ) {
    await delay(1000);
    const now = cpuSecondsOf([edge.pid]);
    const elapsedS = (performance.now() - startedAtMs) / 1000;
    if (now - cpu < QUIET_CORES) return { cpuSeconds: cpu - firstCpu, elapsedS: elapsedS - 1 };
    if (elapsedS * 1000 > QUIET_TIMEOUT_MS) throw new Error("The edge did not come to rest after the creates.");
    cpu = now;
  }
}

/** The one in the middle by a number of each. */
function middle<Item>(items: readonly Item[], by: (item: Item) => number): Item {
  const sorted = items.toSorted((a, b) => by(a) - by(b));
  const item = sorted[Math.floor(sorted.length / 2)];
  if (item === undefined) throw new Error("Nothing was measured.");
  return item;
}
