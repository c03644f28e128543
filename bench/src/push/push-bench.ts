import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { startStack } from "@roomcast/dev/stack/stack";
import { findMediaTools } from "@roomcast/worker/media-tools";
import { builtWorker } from "../built-worker.ts";
import { positiveInteger, type Suite, type SuiteContext, type SuiteReport } from "../suite.ts";
import { bareFfmpegPusher } from "./bare-ffmpeg-pusher.ts";
import { type MeasurePushOptions, measureCosts, measureFirstVideo } from "./measure-push.ts";
import { formatPushReport, type PushReport } from "./push-report.ts";
import { roomcastPusher } from "./roomcast-pusher.ts";

/** Enough for the longest measurement, with what it takes to start. */
const CLIP_MARGIN_S = 30;

export const pushBench: Suite = {
  summary: "CPU, memory and time to the first picture of pushes that are copied, beside bare ffmpeg",
  options: `  --streams LIST    how many streams at once, default 1,10,20
  --seconds N       how long each measurement runs, default 30
  --runs N          repetitions of the time to the first picture, default 9`,
  run: runPushBench,
};

async function runPushBench({ args, onProgress, signal }: SuiteContext): Promise<SuiteReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      streams: { type: "string", default: "1,10,20" },
      seconds: { type: "string", default: "30" },
      runs: { type: "string", default: "9" },
    },
  });
  const windowSeconds = positiveInteger("seconds", values.seconds);
  const streams = values.streams.split(",").map((text) => positiveInteger("streams", text));
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  const { ffmpegPath, ffmpegVersion } = found.tools;
  onProgress("starting the stack");
  const clipPath = await sampleClip({ durationS: windowSeconds + CLIP_MARGIN_S });
  const stack = await startStack({ redis: false, workerProgram: await builtWorker() });
  signal.addEventListener("abort", () => void stack.stop());
  try {
    const options: MeasurePushOptions = {
      stack,
      clipPath,
      windowSeconds,
      streams,
      onProgress,
      ours: await roomcastPusher(stack),
      bare: await bareFfmpegPusher(stack, ffmpegPath),
      firstVideoRuns: positiveInteger("runs", values.runs),
    };
    const report: PushReport = {
      suite: "push",
      clip: "a 720p30 clip, H.264 2 Mbit/s without B-frames + AAC 48 kHz",
      windowSeconds,
      firstVideo: await measureFirstVideo(options),
      costs: await measureCosts(options),
      environment: { cpus: cpus().length, node: process.version, ffmpeg: ffmpegVersion },
    };
    return { json: report, text: formatPushReport(report) };
  } finally {
    await stack.stop();
  }
}
