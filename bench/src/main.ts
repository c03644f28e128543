import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { startStack } from "@roomcast/dev/stack/stack";
import { findMediaTools } from "@roomcast/worker/media-tools";
import { bareFfmpegPusher } from "./bare-ffmpeg-pusher.ts";
import { measureCosts, measureFirstVideo, type PushSuiteOptions } from "./push-suite.ts";
import { formatPushReport, type PushReport } from "./report.ts";
import { roomcastPusher } from "./roomcast-pusher.ts";

const HELP = `Measures Roomcast beside its peers, in one run on this machine (Linux).

Usage: npm run bench -- [options]

  --json            one JSON object on standard output, nothing else
  --streams LIST    how many streams at once, default 1,10,20
  --seconds N       how long each measurement runs, default 30
  --runs N          repetitions of the time to the first picture, default 9
  --help
`;

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    streams: { type: "string", default: "1,10,20" },
    seconds: { type: "string", default: "30" },
    runs: { type: "string", default: "9" },
    help: { type: "boolean", default: false },
  },
});

/** Enough for the longest measurement, with what it takes to start. */
const CLIP_MARGIN_S = 30;

if (values.help) {
  process.stdout.write(HELP);
} else {
  const report = await runPushBench();
  process.stdout.write(`${values.json ? JSON.stringify(report) : formatPushReport(report)}\n`);
}

function onProgress(what: string): void {
  process.stderr.write(`${what} …\n`);
}

async function runPushBench(): Promise<PushReport> {
  const windowSeconds = positiveInteger("seconds", values.seconds);
  const streams = values.streams.split(",").map((text) => positiveInteger("streams", text));
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  const { ffmpegPath, ffmpegVersion } = found.tools;
  onProgress("starting the stack");
  const clipPath = await sampleClip({ durationS: windowSeconds + CLIP_MARGIN_S });
  const stack = await startStack({ redis: false });
  const stopped = new AbortController();
  const stop = () => {
    stopped.abort();
    void stack.stop().finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    const options: PushSuiteOptions = {
      stack,
      clipPath,
      windowSeconds,
      streams,
      onProgress,
      ours: await roomcastPusher(stack),
      bare: await bareFfmpegPusher(stack, ffmpegPath),
      firstVideoRuns: positiveInteger("runs", values.runs),
    };
    return {
      suite: "push",
      clip: "a 720p30 clip, H.264 2 Mbit/s without B-frames + AAC 48 kHz",
      windowSeconds,
      firstVideo: await measureFirstVideo(options),
      costs: await measureCosts(options),
      environment: { cpus: cpus().length, node: process.version, ffmpeg: ffmpegVersion },
    };
  } finally {
    await stack.stop();
  }
}

function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${option}: expected positive whole numbers, got "${text}".`);
}
