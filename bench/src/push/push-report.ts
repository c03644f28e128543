import { formatTable } from "../base/format-table.ts";
import type { Cost } from "../pushers/measure-cost.ts";
import type { FirstVideo } from "../pushers/measure-first-video.ts";

export interface CostRow {
  readonly streams: number;
  readonly ours: Cost;
  readonly bare: Cost;
  /** ours / bare */
  readonly cpuRatio: number;
  readonly pssRatio: number;
}

export interface PushReport {
  readonly suite: "push";
  readonly clip: string;
  readonly windowSeconds: number;
  readonly costs: readonly CostRow[];
  readonly firstVideo: FirstVideo;
  readonly environment: { readonly cpus: number; readonly node: string; readonly ffmpeg: string };
}

/** The report as a person reads it. */
export function formatPushReport(report: PushReport): string {
  const { costs, firstVideo, environment } = report;
  const columns = ["streams", "CPU ours", "CPU bare", "ratio", "PSS ours", "PSS bare", "ratio"];
  const rows = costs.map((row) => [
    String(row.streams),
    row.ours.cpuSecondsPerStreamMinute.toFixed(2),
    row.bare.cpuSecondsPerStreamMinute.toFixed(2),
    row.cpuRatio.toFixed(2),
    `${row.ours.pssMbPerStream.toFixed(1)} MB`,
    `${row.bare.pssMbPerStream.toFixed(1)} MB`,
    row.pssRatio.toFixed(2),
  ]);
  return [
    `Pass-through of ${report.clip}, ${report.windowSeconds} s, against "ffmpeg -re -i URL -c copy -f flv rtmp://…"`,
    `(${environment.cpus} CPUs, Node ${environment.node}, ffmpeg ${environment.ffmpeg})`,
    "",
    "CPU-seconds per stream-minute and PSS per stream:",
    ...formatTable(columns, rows),
    "",
    `First picture at the receiver, median of ${firstVideo.runs}: ours ${firstVideo.oursMs.toFixed(0)} ms from the HTTP call, ` +
      `bare ${firstVideo.bareMs.toFixed(0)} ms from exec, ratio ${firstVideo.ratio.toFixed(2)}`,
  ].join("\n");
}
