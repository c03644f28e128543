import { parseArgs } from "node:util";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { positiveInteger, type Suite, type SuiteContext, type SuiteReport } from "../base/suite.ts";
import { withStack } from "../pushers/with-stack.ts";
import { measureSoak } from "./measure-soak.ts";
import { formatSoakReport } from "./soak-report.ts";

const CLIP_S = 60;
const SEEK_EVERY_S = 5;
/** A minute's samples are enough to see growth; more often would only cost. */
const SAMPLE_EVERY_S = 60;

export const soakBench: Suite = {
  summary: "many looped streams for a long time in one worker: memory, open files and CPU must not grow",
  options: `  --streams N       default 50
  --minutes N       default 60`,
  run: runSoakBench,
};

async function runSoakBench({ args, onProgress, signal }: SuiteContext): Promise<SuiteReport> {
  const { values } = parseArgs({
    args: [...args],
    options: { streams: { type: "string", default: "50" }, minutes: { type: "string", default: "60" } },
  });
  const streams = positiveInteger("streams", values.streams);
  const minutes = positiveInteger("minutes", values.minutes);
  onProgress("starting the stack");
  const clip = { path: await sampleClip({ durationS: CLIP_S }), durationS: CLIP_S };
  // It is to carry all of them, whatever this machine has.
  const workerSettings = { ROOMCAST_CAPACITY_UNITS: "10000" };
  const plan = { clip, streams, minutes, sampleEveryS: SAMPLE_EVERY_S, seekEveryS: SEEK_EVERY_S, signal, onProgress };
  const report = await withStack({ signal, workerSettings }, (stack) => measureSoak({ stack, ...plan }));
  return { json: report, text: formatSoakReport(report) };
}
