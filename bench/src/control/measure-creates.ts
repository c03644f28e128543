import { percentile } from "../median.ts";
import { cpuSecondsOf } from "../process-usage.ts";
import type { CreatesReport, LoadReport } from "./control-report.ts";
import type { EdgeWorkerd } from "./edge-workerd.ts";
import { loadHttp } from "./http-load.ts";
import type { PushRequests } from "./push-requests.ts";

export interface MeasureCreatesOptions {
  readonly edge: EdgeWorkerd;
  readonly requests: PushRequests;
  readonly connections: number;
  /** How long each side is loaded. */
  readonly seconds: number;
  /** How often each side is loaded, in turn. */
  readonly rounds: number;
  readonly onProgress: (what: string) => void;
}

const HELLO_CALL = "GET /hello HTTP/1.1\r\nHost: yardstick.example\r\n\r\n";
const OBJECT_CALL = "GET /object HTTP/1.1\r\nHost: yardstick.example\r\n\r\n";

/** Accepted creates beside the yardsticks, in turn, by the same client in the same workerd. */
export async function measureCreates({
  edge,
  requests,
  connections,
  seconds,
  rounds,
  onProgress,
}: MeasureCreatesOptions): Promise<CreatesReport> {
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
  const hellos: LoadReport[] = [];
  const objects: LoadReport[] = [];
  const creates: LoadReport[] = [];
  for (let round = 0; round < rounds; round += 1) {
    onProgress(`hellos, new objects and creates, ${round + 1} of ${rounds}`);
    hellos.push(await load(edge.yardstickPort, () => HELLO_CALL));
    objects.push(await load(edge.yardstickPort, () => OBJECT_CALL));
    creates.push(await load(edge.edgePort, () => requests.nextCall()));
  }
  const hello = middleOf(hellos);
  const object = middleOf(objects);
  const create = middleOf(creates);
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
  };
}

/** The round in the middle by its rate. */
function middleOf(loads: readonly LoadReport[]): LoadReport {
  const sorted = loads.toSorted((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("Nothing was measured.");
  return middle;
}
