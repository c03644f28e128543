import { formatTable } from "../base/format-table.ts";
import type { WorkerUse } from "./worker-watch.ts";

/** The effects of one hostile source on its worker and on another room of that worker. */
export interface HostileRow extends WorkerUse {
  /** `nothing`: the healthy push alone. */
  readonly source: string;
  /** The end of the task: its error's code, its reason, or its state; `running` where it was stopped by the bench. */
  readonly end: string;
  readonly message: string;
  readonly seconds: number;
  /** In the healthy room, between two pictures, ms: of their timestamps and of their arrivals. */
  readonly gapMs: number;
  readonly arrivalGapMs: number;
  /** The same of the bench's own event loop, which makes the bytes and is the room: what it adds is not the worker's. */
  readonly benchStallMs: number;
  readonly leftChildren: number;
  readonly leftFiles: number;
}

export interface HostileReport {
  readonly suite: "hostile";
  readonly rows: readonly HostileRow[];
  readonly workerLost: boolean;
  readonly environment: {
    readonly cpus: number;
    readonly cpuModel: string;
    readonly node: string;
    readonly ffmpeg: string;
    readonly loadBefore: number;
    readonly loadAfter: number;
  };
}

const COLUMNS = [
  "source",
  "end",
  "s",
  "worker MB",
  "over",
  "stall ms",
  "children MB",
  "largest",
  "gap ms",
  "arrival ms",
  "bench ms",
  "left",
];

/** The report as a person reads it. */
export function formatHostileReport({ rows, workerLost, environment }: HostileReport): string {
  const cells = rows.map((row) => [
    row.source,
    row.end.replace("FailedOperation.", ""),
    row.seconds.toFixed(1),
    row.peakMb.toFixed(0),
    (row.peakMb - row.beforeMb).toFixed(0),
    row.stallMs.toFixed(0),
    row.childrenPeakMb.toFixed(0),
    row.childPeakMb.toFixed(0),
    row.gapMs.toFixed(0),
    row.arrivalGapMs.toFixed(0),
    row.benchStallMs.toFixed(0),
    `${row.leftChildren}+${row.leftFiles}`,
  ]);
  const { cpus, cpuModel, node, ffmpeg, loadBefore, loadAfter } = environment;
  return [
    ...formatTable(COLUMNS, cells),
    "",
    ...(workerLost ? ["The worker was lost in the last row."] : []),
    "worker MB: its peak, and over what it had before; stall: its longest time without a turn of the event loop.",
    "gap, arrival: between two pictures of the healthy room; bench: the longest stall of the bench itself.",
    "left: children and temporary files after the end.",
    `${cpus} CPUs (${cpuModel}), Node ${node}, ffmpeg ${ffmpeg}; load ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after.`,
  ].join("\n");
}
