/** What one side cost while it pushed N streams. */
export interface Cost {
  /** CPU-seconds per stream and minute of media, starting up included. */
  readonly cpuSecondsPerStreamMinute: number;
  /** Proportional set size per stream, MB (10^6 bytes), at the end of the window. */
  readonly pssMbPerStream: number;
}

export interface CostRow {
  readonly streams: number;
  readonly ours: Cost;
  readonly bare: Cost;
  /** ours / bare */
  readonly cpuRatio: number;
  readonly pssRatio: number;
}

export interface FirstVideo {
  readonly runs: number;
  /** From the HTTP call to the first picture at the receiver, median, ms. */
  readonly oursMs: number;
  /** From the exec of ffmpeg to the first picture at the receiver, median, ms. */
  readonly bareMs: number;
  readonly ratio: number;
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
  const widths = columns.map((column, n) => Math.max(column.length, ...rows.map((row) => row[n]?.length ?? 0)));
  const line = (cells: readonly string[]) => cells.map((cell, n) => cell.padStart(widths[n] ?? 0)).join("  ");
  return [
    `Pass-through of ${report.clip}, ${report.windowSeconds} s, against "ffmpeg -re -i URL -c copy -f flv rtmp://…"`,
    `(${environment.cpus} CPUs, Node ${environment.node}, ffmpeg ${environment.ffmpeg})`,
    "",
    "CPU-seconds per stream-minute and PSS per stream:",
    line(columns),
    ...rows.map(line),
    "",
    `First picture at the receiver, median of ${firstVideo.runs}: ours ${firstVideo.oursMs.toFixed(0)} ms from the HTTP call, ` +
      `bare ${firstVideo.bareMs.toFixed(0)} ms from exec, ratio ${firstVideo.ratio.toFixed(2)}`,
  ].join("\n");
}
