import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { positiveInteger, type Suite, type SuiteContext, type SuiteReport, wantedParts } from "../base/suite.ts";
import { type ControlReport, formatControlReport } from "./control-report.ts";
import { type MeasureCreatesOptions, measureCreates } from "./measure-creates.ts";
import { measureDispatch } from "./measure-dispatch.ts";
import { measureFailover } from "./measure-failover.ts";
import { type MeasureFleetOptions, measureFleet } from "./measure-fleet.ts";
import { startMeasuredEdge } from "./measured-edge.ts";
import { pushRequests } from "./push-requests.ts";

export const controlBench: Suite = {
  summary: "the edge alone: creates, dispatch, a simulated fleet, and how soon a killed worker is replaced",
  options: `  --only LIST       some of dispatch,fleet,creates,failover; default all
  --workers N       how many workers the simulated fleet has, default 500
  --tasks LIST      how many tasks run at each measurement, rising, default 2500,5000,10000
  --seconds N       how long each measurement of the fleet lasts, default 20
  --quick           small numbers, to see that all works`,
  run: runControlBench,
};

/** workerd puts an idle object away after 10 s, which takes its time where there are thousands. */
const SETTLE_MS = 30_000;

const PARTS = ["dispatch", "fleet", "creates", "failover"] as const;
type Part = (typeof PARTS)[number];

interface Sizes {
  readonly dispatchRuns: number;
  readonly fleet: Pick<MeasureFleetOptions, "workers" | "levels" | "seconds" | "settleMs">;
  readonly creates: Pick<MeasureCreatesOptions, "loads" | "seconds" | "rounds">;
  readonly failoverRuns: number;
}

const FULL: Omit<Sizes, "fleet"> = {
  dispatchRuns: 300,
  creates: { loads: [32, 64, 128], seconds: 2, rounds: 5 },
  failoverRuns: 10,
};
const QUICK: Sizes = {
  dispatchRuns: 20,
  fleet: { workers: 10, levels: [50, 100], seconds: 3, settleMs: 1000 },
  creates: { loads: [8], seconds: 1, rounds: 1 },
  failoverRuns: 1,
};

async function runControlBench({ args, onProgress, signal }: SuiteContext): Promise<SuiteReport> {
  const { sizes, wants } = readArguments(args);
  const edge = await startMeasuredEdge();
  signal.addEventListener("abort", () => void edge.stop());
  try {
    const requests = await pushRequests(edge);
    if (wants("dispatch")) onProgress(`${sizes.dispatchRuns} dispatches`);
    const dispatch = wants("dispatch") ? await measureDispatch(edge, requests, sizes.dispatchRuns) : null;
    const fleet = wants("fleet") ? await measureFleet({ ...sizes.fleet, edge, requests, onProgress }) : null;
    // The fleet's tasks are still running in this workerd, and each round of creates starts a new one.
    await edge.stop();
    const creates = wants("creates") ? await measureCreates({ ...sizes.creates, onProgress, signal }) : null;
    const failover = wants("failover") ? await measureFailover({ runs: sizes.failoverRuns, onProgress, signal }) : null;
    const report: ControlReport = {
      suite: "control",
      dispatch,
      fleet,
      creates,
      failover,
      environment: {
        cpus: cpus().length,
        cpuModel: cpus()[0]?.model ?? "unknown",
        node: process.version,
        workerd: edge.version,
        state: edge.stateParent,
      },
    };
    return { json: report, text: formatControlReport(report) };
  } finally {
    await edge.stop();
  }
}

function readArguments(args: readonly string[]): { sizes: Sizes; wants: (part: Part) => boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: PARTS.join(",") },
      workers: { type: "string", default: "500" },
      tasks: { type: "string", default: "2500,5000,10000" },
      seconds: { type: "string", default: "20" },
      quick: { type: "boolean", default: false },
    },
  });
  const wants = wantedParts(PARTS, values.only);
  if (values.quick) return { sizes: QUICK, wants };
  const levels = values.tasks.split(",").map((text) => positiveInteger("tasks", text));
  const fleet = {
    workers: positiveInteger("workers", values.workers),
    levels: levels.toSorted((a, b) => a - b),
    seconds: positiveInteger("seconds", values.seconds),
    settleMs: SETTLE_MS,
  };
  return { sizes: { ...FULL, fleet }, wants };
}
