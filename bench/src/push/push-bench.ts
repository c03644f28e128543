import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { positiveInteger, type Suite, type SuiteContext, type SuiteReport } from "../base/suite.ts";
import { bareFfmpegPusher } from "../pushers/bare-ffmpeg-pusher.ts";
import { fileClip } from "../pushers/clip.ts";
import { measureFirstVideo } from "../pushers/measure-first-video.ts";
import { neededTools } from "../pushers/needed-tools.ts";
import { roomcastPusher } from "../pushers/roomcast-pusher.ts";
import { withStack } from "../pushers/with-stack.ts";
import { measurePush } from "./measure-push.ts";
import { formatPushReport, type PushReport } from "./push-report.ts";

/** Enough for the longest measurement, with what it takes to start. */
const CLIP_MARGIN_S = 60;

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
  const runs = positiveInteger("runs", values.runs);
  const { ffmpegPath, ffmpegVersion } = await neededTools();
  onProgress("starting the stack");
  const clip = fileClip(await sampleClip({ durationS: windowSeconds + CLIP_MARGIN_S }));
  return await withStack({ signal }, async (stack) => {
    const ours = await roomcastPusher(stack);
    const bare = await bareFfmpegPusher({ stack, ffmpegPath });
    const common = { stack, clip, ours, bare, onProgress, signal };
    const report: PushReport = {
      suite: "push",
      clip: "a 720p30 clip, H.264 2 Mbit/s without B-frames + AAC 48 kHz",
      windowSeconds,
      firstVideo: await measureFirstVideo({ ...common, runs }),
      costs: await measurePush({ ...common, windowSeconds, streams }),
      environment: { cpus: cpus().length, node: process.version, ffmpeg: ffmpegVersion },
    };
    return { json: report, text: formatPushReport(report) };
  });
}
