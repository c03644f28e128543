import { setTimeout as delay } from "node:timers/promises";
import type { EdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { percentile } from "../median.ts";
import { cpuSecondsOf } from "../process-usage.ts";
import type { CreatesReport, LoadReport } from "./control-report.ts";
import { loadHttp } from "./http-load.ts";
import { startMeasuredEdge } from "./measured-edge.ts";
import { pushRequests } from "./push-requests.ts";

export interface MeasureCreatesOptions {
  readonly connections: number;
  /** How long each side is loaded. */
  readonly seconds: number;
  /** How often each side is loaded, in turn. */
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

interface Round {
  readonly hello: LoadReport;
  readonly object: LoadReport;
  readonly create: LoadReport;
  readonly afterwards: Afterwards;
}

/** What accepted tasks cost after the last answer. */
interface Afterwards {
  readonly cpuSeconds: number;
  readonly elapsedS: number;
}

/**
 * Accepted creates beside the yardsticks, one after another, by the same client in the same workerd. Each round has a
 * workerd of its own, because tasks that were accepted go on after the answer.
 */
export async function measureCreates(options: MeasureCreatesOptions): Promise<CreatesReport> {
  const { connections, seconds, rounds, onProgress, signal } = options;
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    onProgress(`hellos, new objects and creates, ${round + 1} of ${rounds}`);
    const edge = await startMeasuredEdge(WITHOUT_WORKERS);
    signal.addEventListener("abort", () => void edge.stop());
    try {
      measured.push(await measureRound(edge, options));
    } finally {
      await edge.stop();
    }
  }
  const hellos = measured.map((round) => round.hello);
  const objects = measured.map((round) => round.object);
  const creates = measured.map((round) => round.create);
  const hello = middleOf(hellos);
  const object = middleOf(objects);
  const create = middleOf(creates);
  const { afterwards } = measured.find((round) => round.create === create) ?? { afterwards: undefined };
  const created = create.perSecond * seconds;
  return {
    connections,
    seconds,
    rounds,
    hello,
    object,
    create,
    ratio: create.perSecond / hello.perSecond,
    objectRatio: object.perSecond / hello.perSecond,
    cpuRatio: hello.cpuMicrosecondsEach / create.cpuMicrosecondsEach,
    afterwardsMicrosecondsEach: ((afterwards?.cpuSeconds ?? Number.NaN) / created) * 1e6,
    afterwardsS: afterwards?.elapsedS ?? Number.NaN,
  };
}

async function measureRound(edge: EdgeWorkerd, { connections, seconds }: MeasureCreatesOptions): Promise<Round> {
  const requests = await pushRequests(edge);
  const load = async (port: number, nextRequest: () => string): Promise<LoadReport> => {
    const cpuBefore = cpuSecondsOf([edge.pid]);
    const result = await loadHttp({
      port,
      connections,
      goesOn: (_sent, elapsedMs) => elapsedMs < seconds * 1000,
      nextRequest,
    });
    const cpuSeconds = cpuSecondsOf([edge.pid]) - cpuBefore;
    return {
      perSecond: result.perSecond,
      cpuMicrosecondsEach: (cpuSeconds / result.latenciesMs.length) * 1e6,
      p50Ms: percentile(result.latenciesMs, 0.5),
      p99Ms: percentile(result.latenciesMs, 0.99),
    };
  };
  const object = await load(edge.companionPort, () => OBJECT_CALL);
  // workerd takes as many objects away again later on.
  await delay(EVICTION_MS);
  const hello = await load(edge.companionPort, () => HELLO_CALL);
  const create = await load(edge.edgePort, () => requests.nextCall());
  const afterwards = await untilQuiet(edge);
  return { hello, object, create, afterwards };
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
