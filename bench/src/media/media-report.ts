import { formatTable } from "../base/format-table.ts";
import type { Cost } from "../pushers/measure-cost.ts";
import type { FirstVideo } from "../pushers/measure-first-video.ts";
import type { CapacityReport } from "./measure-capacity.ts";
import type { SideBySideReport } from "./measure-side-by-side.ts";
import type { SwitchesReport, SwitchReport } from "./measure-switches.ts";
import type { MediaFigures } from "./media-figures.ts";
import type { Target } from "./media-targets.ts";

export interface MediaReport extends MediaFigures {
  readonly suite: "media";
  readonly clip: string;
  readonly windowSeconds: number;
  readonly targets: readonly Target[];
  readonly environment: {
    readonly cpus: number;
    readonly cpuModel: string;
    readonly node: string;
    readonly ffmpeg: string;
    /** Null if it is not installed. */
    readonly gstreamer: string | null;
    /** Processes that wanted a CPU, over the minute before the run and over its last minute. */
    readonly loadBefore: number;
    readonly loadAfter: number;
  };
}

/** The report as a person reads it. */
export function formatMediaReport(report: MediaReport): string {
  const { passThrough, hls, firstVideo, firstVideoHls, switches, transcode, capacity, environment } = report;
  const { cpus, cpuModel, node, ffmpeg, gstreamer, loadBefore, loadAfter } = environment;
  return [
    `${report.clip}; each window ${report.windowSeconds} s`,
    `(${cpus} CPUs, ${cpuModel}, Node ${node}, ffmpeg ${ffmpeg}, ${gstreamer === null ? "no GStreamer" : `GStreamer ${gstreamer}`};`,
    ` load ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} at the end)`,
    ...(passThrough === null ? [] : formatPassThrough(passThrough)),
    ...(hls === null ? [] : formatHls(hls)),
    ...(firstVideo === null ? [] : formatFirstVideo("a copied MP4 file", firstVideo)),
    ...(firstVideoHls === null ? [] : formatFirstVideo("an HLS recording", firstVideoHls)),
    ...(switches === null ? [] : formatSwitches(switches)),
    ...(transcode === null ? [] : formatTranscode(transcode)),
    ...(capacity === null ? [] : formatCapacity(capacity)),
    "",
    "Targets:",
    ...formatTable(["", "measured", "at most", ""], report.targets.map(targetRow)),
  ].join("\n");
}

function formatPassThrough(report: SideBySideReport): string[] {
  const missing = "GStreamer was not measured: gst-launch-1.0 with its elements of base, good and bad is not there.";
  return [
    "",
    `${report.streams} copied streams, median of ${report.rounds}:`,
    ...costTable(report),
    ...(report.gstreamer === null ? [missing] : []),
  ];
}

function formatHls(report: SideBySideReport): string[] {
  return ["", `${report.streams} copied HLS recordings, median of ${report.rounds}:`, ...costTable(report)];
}

function formatTranscode(report: SideBySideReport): string[] {
  return ["", `${report.streams} transcoded streams, median of ${report.rounds}:`, ...costTable(report)];
}

function costTable({ ours, bare, gstreamer }: SideBySideReport): string[] {
  const row = (name: string, cost: Cost) => [
    name,
    cost.cpuSecondsPerStreamMinute.toFixed(3),
    (ours.cpuSecondsPerStreamMinute / cost.cpuSecondsPerStreamMinute).toFixed(2),
    `${cost.pssMbPerStream.toFixed(1)} MB`,
    (ours.pssMbPerStream / cost.pssMbPerStream).toFixed(2),
  ];
  return formatTable(
    ["", "CPU-s per stream-minute", "ours / it", "PSS per stream", "ours / it"],
    [row("ours", ours), row("bare ffmpeg", bare), ...(gstreamer === null ? [] : [row("GStreamer", gstreamer)])],
  );
}

function formatFirstVideo(what: string, { runs, oursMs, bareMs, ratio }: FirstVideo): string[] {
  return [
    "",
    `First picture of ${what} in the room, median of ${runs}: ours ${ms(oursMs)} from the HTTP call, bare ffmpeg ${ms(bareMs)} from exec, ratio ${ratio.toFixed(2)}`,
  ];
}

function formatSwitches({ runs, preRolled, preloaded }: SwitchesReport): string[] {
  return [
    "",
    `${runs} switches of each kind, median / worst:`,
    ...formatTable(
      ["", "PATCH to new picture", "timestamp gap, worst", "arrival gap", "without a switch"],
      [switchRow("pre-rolled", preRolled), switchRow("preloaded", preloaded)],
    ),
  ];
}

function switchRow(name: string, report: SwitchReport): string[] {
  return [
    name,
    `${ms(report.newPictureMedianMs)} / ${ms(report.newPictureWorstMs)}`,
    ms(report.dtsGapWorstMs),
    `${ms(report.arrivalGapMedianMs)} / ${ms(report.arrivalGapWorstMs)}`,
    `${ms(report.steadyArrivalGapMedianMs)} / ${ms(report.steadyArrivalGapWorstMs)}`,
  ];
}

function formatCapacity({ held, foundLimit, steps }: CapacityReport): string[] {
  return [
    "",
    `Transcoded 720p30 streams that this machine carries: ${held}${foundLimit ? "" : " or more"}`,
    ...formatTable(
      ["streams", "least media", "largest gap", ""],
      steps.map((step) => [
        String(step.streams),
        `${(step.leastShare * 100).toFixed(1)} %`,
        ms(step.largestGapMs),
        step.held ? "held" : "fell behind",
      ]),
    ),
  ];
}

function targetRow({ name, value, atMost, reached }: Target): string[] {
  return [name, value.toFixed(2), atMost.toFixed(2), reached ? "reached" : "NOT reached"];
}

function ms(value: number): string {
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`;
}
