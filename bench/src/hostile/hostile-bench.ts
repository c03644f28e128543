import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort } from "@roomcast/dev/stack/free-port";
import { positiveInteger, type Suite, type SuiteContext, type SuiteReport, wantedParts } from "../base/suite.ts";
import { neededTools } from "../pushers/needed-tools.ts";
import { withStack } from "../pushers/with-stack.ts";
import { formatHostileReport, type HostileReport } from "./hostile-report.ts";
import { HostileServer } from "./hostile-server.ts";
import { HOSTILE_SOURCES } from "./hostile-sources.ts";
import { measureHostile } from "./measure-hostile.ts";

const NAMES = [...HOSTILE_SOURCES.keys()];

export const hostileBench: Suite = {
  summary: "sources that are made to do harm: the worker's memory and stalls, its children, and a healthy room beside",
  options: `  --only LIST       some of the sources; default all:
                    ${NAMES.join("\n                    ")}
  --limit N         after how many seconds a push is stopped that has not ended, default 90`,
  run: runHostileBench,
};

async function runHostileBench({ args, onProgress, signal }: SuiteContext): Promise<SuiteReport> {
  const { values } = parseArgs({
    args: [...args],
    options: { only: { type: "string", default: NAMES.join(",") }, limit: { type: "string", default: "90" } },
  });
  const wants = wantedParts(NAMES, values.only);
  const limitS = positiveInteger("limit", values.limit);
  const [loadBefore = 0] = loadavg();
  const { ffmpegPath, ffmpegVersion } = await neededTools();
  const folder = await mkdtemp(join(tmpdir(), "roomcast-hostile-"));
  const workerFolder = await mkdtemp(join(tmpdir(), "roomcast-hostile-worker-"));
  const server = await HostileServer.start();
  try {
    const metricsPort = await freePort();
    onProgress("starting the stack");
    const workerSettings = { ROOMCAST_METRICS_PORT: String(metricsPort), TMPDIR: workerFolder };
    const sources = [...HOSTILE_SOURCES].filter(([name]) => wants(name));
    const measured = await withStack({ signal, workerSettings }, (stack) =>
      measureHostile({
        stack,
        sources,
        workshop: { server, ffmpegPath, folder },
        workerFolder,
        metricsPort,
        limitS,
        onProgress,
        signal,
      }),
    );
    const [loadAfter = 0] = loadavg();
    const report: HostileReport = {
      suite: "hostile",
      ...measured,
      environment: {
        cpus: cpus().length,
        cpuModel: cpus()[0]?.model ?? "unknown",
        node: process.version,
        ffmpeg: ffmpegVersion,
        loadBefore,
        loadAfter,
      },
    };
    return { json: report, text: formatHostileReport(report) };
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
    await rm(workerFolder, { recursive: true, force: true });
  }
}
