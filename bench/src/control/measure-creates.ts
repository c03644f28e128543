import { setTimeout as delay } from "node:timers/promises";
import type { EdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { median, percentile } from "../median.ts";
import { cpuSecondsOf } from "../process-usage.ts";
import type { CreatesReport, CreatesRow, LoadReport } from "./control-report.ts";
import { type HttpLoadOptions, loadHttp } from "./http-load.ts";
import { startMeasuredEdge } from "./measured-edge.ts";
import { pushRequests } from "./push-requests.ts";

export interface MeasureCreatesOptions {
  /** Numbers of connections; hellos and creates are measured under each of them. */
  readonly loads: readonly [number, ...number[]];
  /** How long each load lasts. All of a round's creates are one burst, which shall last less than 10 s. */
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

/** Before the first measurement of each side: its code is compiled, its heap grows. */
const WARM_UP_S = 1;

/** Both sides under one load. */
interface Pair {
  readonly connections: number;
  readonly hello: LoadReport;
  readonly create: LoadReport;
}

interface Round {
  /** Under the load of the first pair. */
  readonly object: LoadReport;
  readonly pairs: readonly Pair[];
  readonly created: number;
}

/** What accepted tasks cost after the last answer. */
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
  const measured: Round[] = [];
  let afterwards: Afterwards = { cpuSeconds: Number.NaN, elapsedS: Number.NaN };
  for (let round = 0; round < rounds; round += 1) {
    onProgress(`hellos, new objects and creates, ${round + 1} of ${rounds}`);
    const edge = await startMeasuredEdge(WITHOUT_WORKERS);
    signal.addEventListener("abort", () => void edge.stop());
    try {
      // What comes first in a burst and what comes last is another load each time.
      measured.push(await measureRound(edge, { loads: rotated(loads, round), seconds }));
      if (round === rounds - 1) afterwards = await untilQuiet(edge);
    } finally {
      await edge.stop();
    }
  }
  const pairs = measured.flatMap((round) => round.pairs);
  const rows = loads.map((connections) => rowOf(pairs.filter((pair) => pair.connections === connections)));
  const [best] = rows.toSorted((a, b) => b.create.perSecond - a.create.perSecond);
  const last = measured.at(-1);
  if (best === undefined || last === undefined) throw new Error("Nothing was measured.");
  return {
    seconds,
    rounds,
    object: middleOf(measured.map(({ object }) => object)),
    loads: rows,
    best,
    objectRatio: median(measured.map(({ object, pairs: [first] }) => object.perSecond / (first?.hello.perSecond ?? 0))),
    afterwardsMicrosecondsEach: (afterwards.cpuSeconds / last.created) * 1e6,
    afterwardsS: afterwards.elapsedS,
  };
}

function rotated<Item>(items: readonly [Item, ...Item[]], by: number): [Item, ...Item[]] {
  const at = by % items.length;
  // SAFETY: as many as before.
  return [...items.slice(at), ...items.slice(0, at)] as [Item, ...Item[]];
}

/** @param pairs of one load, from each round */
function rowOf(pairs: readonly Pair[]): CreatesRow {
  return {
    connections: pairs[0]?.connections ?? Number.NaN,
    hello: middleOf(pairs.map(({ hello }) => hello)),
    create: middleOf(pairs.map(({ create }) => create)),
    ratio: median(pairs.map(({ hello, create }) => create.perSecond / hello.perSecond)),
    cpuRatio: median(pairs.map(({ hello, create }) => hello.cpuMicrosecondsEach / create.cpuMicrosecondsEach)),
  };
}

async function measureRound(
  edge: EdgeWorkerd,
  { loads, seconds }: Pick<MeasureCreatesOptions, "loads" | "seconds">,
): Promise<Round> {
  const [first] = loads;
  const load = (port: number, nextRequest: () => string) => (connections: number, forS: number) =>
    loadEdge(edge, { port, connections, goesOn: (_sent, elapsedMs) => elapsedMs < forS * 1000, nextRequest });
  const object = await load(edge.companionPort, () => OBJECT_CALL)(first, seconds);
  // workerd takes as many objects away again later on.
  await delay(EVICTION_MS);
  const requests = await pushRequests(edge);
  let created = 0;
  const hello = load(edge.companionPort, () => HELLO_CALL);
  const create = load(edge.edgePort, () => {
    created += 1;
    return requests.nextCall();
  });
  const underEach = async (side: typeof hello): Promise<LoadReport[]> => {
    await side(first, WARM_UP_S);
    const reports: LoadReport[] = [];
    for (const connections of loads) reports.push(await side(connections, seconds));
    return reports;
  };
  // Not in turn: after a pause of creates their objects are made, beside which a hello takes longer.
  const hellos = await underEach(hello);
  const creates = await underEach(create);
  const pairs = loads.map((connections, at) => {
    // SAFETY: there is a report for each load.
    return { connections, hello: hellos[at] as LoadReport, create: creates[at] as LoadReport };
  });
  return { object, pairs, created };
}

async function loadEdge(edge: EdgeWorkerd, options: HttpLoadOptions): Promise<LoadReport> {
  const cpuBefore = cpuSecondsOf([edge.pid]);
  const { perSecond, latenciesMs } = await loadHttp(options);
  const cpuSeconds = cpuSecondsOf([edge.pid]) - cpuBefore;
  return {
    perSecond,
    cpuMicrosecondsEach: (cpuSeconds / latenciesMs.length) * 1e6,
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

/** The round in the middle by its rate. */
function middleOf(loads: readonly LoadReport[]): LoadReport {
  const sorted = loads.toSorted((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("Nothing was measured.");
  return middle;
}
