import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { RoomcastError, VERSION } from "@roomcast/shared";
import type { Logger } from "pino";
import { createLogger } from "./base/logger.ts";
import { settledWithin } from "./base/settled-within.ts";
import { describeConfig, readConfig, type WorkerConfig } from "./config.ts";
import { findMediaTools, type MediaTools } from "./source/ffmpeg/media-tools.ts";
import { startWorker, type Worker } from "./worker.ts";

const HELP = `Roomcast's media worker: pulls sources, publishes them into TRTC rooms, reports to the edge.

Usage: node main.ts [--check | --help | --version]
  --check    checks the settings and ffmpeg, then exits

Settings are environment variables:
${describeConfig()}
  FFMPEG_PATH, FFPROBE_PATH  Default: the optional npm packages, then PATH.

SIGTERM or SIGINT hands the tasks over to other workers, then ends; a second signal ends at once.
Exit codes: 0 ended after handing over, 1 failed or was stopped at once, 2 wrong settings or no usable ffmpeg.
`;

/** The time in which children are killed after a crash, ms. */
const CRASH_STOP_MS = 3_000;

type Mode = "run" | "check" | "help" | "version";

function readMode(argv: readonly string[]): Mode {
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({ args: [...argv], options: { check: flag, help: flag, version: flag } });
  if (values.help === true) return "help";
  if (values.version === true) return "version";
  return values.check === true ? "check" : "run";
}

/**
 * Returns the settings and the media tools.
 *
 * @throws RoomcastError with every setting that is wrong and every tool that is missing
 */
async function readSetup(): Promise<{ config: WorkerConfig; tools: MediaTools }> {
  const problems: string[] = [];
  let config: WorkerConfig | undefined;
  try {
    config = readConfig({ env: process.env, cores: availableParallelism() });
  } catch (error) {
    if (!(error instanceof RoomcastError)) throw error;
    problems.push(error.message);
  }
  const found = await findMediaTools();
  if (found.name === "missing") problems.push(...found.problems.map((problem) => problem.message));
  if (config === undefined || found.name === "missing")
    throw new RoomcastError("InvalidParameter", problems.join("\n"));
  return { config, tools: found.tools };
}

async function run(config: WorkerConfig, tools: MediaTools): Promise<number> {
  const log = createLogger({ level: config.logLevel, secrets: [config.workerToken] });
  const crashed = watchForCrash(log);
  const worker = await startWorker({ config, tools, version: VERSION, log });
  log.info(
    { version: VERSION, workerId: config.workerId, region: config.region, capacityUnits: config.capacityUnits },
    "worker started",
  );
  const exitCode = await Promise.race([
    crashed.then(async () => {
      await settledWithin(worker.stop("The worker crashed."), CRASH_STOP_MS);
      return 1;
    }),
    untilSignalled(worker, config, log),
    worker.linkEnded.then(async (end) => {
      if (end.name === "stopped") return await new Promise<never>(() => {});
      await worker.stop("The edge speaks another protocol version.");
      return 1;
    }),
  ]);
  log.info({ exitCode }, "worker ended");
  return exitCode;
}

/** The first signal drains the worker, and a second one stops it at once. */
async function untilSignalled(worker: Worker, config: WorkerConfig, log: Logger): Promise<number> {
  const signals = signalQueue();
  const reason = `the worker got ${await signals.next()}`;
  log.info({ limitMs: config.drainTimeoutMs }, `${reason}; handing tasks over`);
  const left = worker.leave(reason, config.drainTimeoutMs).then(() => 0);
  const hurried = signals.next().then(async (signal) => {
    log.warn({ signal }, "stopping at once");
    await worker.stop(reason);
    return 1;
  });
  return await Promise.race([left, hurried]);
}

function signalQueue(): { next(): Promise<NodeJS.Signals> } {
  const waiting: PromiseWithResolvers<NodeJS.Signals>[] = [];
  const on = (signal: NodeJS.Signals): void => waiting.shift()?.resolve(signal);
  process.on("SIGTERM", on);
  process.on("SIGINT", on);
  return {
    next() {
      const signal = Promise.withResolvers<NodeJS.Signals>();
      waiting.push(signal);
      return signal.promise;
    },
  };
}

/** Resolves at the first uncaught error, after which the state of the process cannot be trusted. */
async function watchForCrash(log: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.on("uncaughtException", (error, origin) => {
    log.fatal({ err: error, origin }, "crashed");
    resolve();
  });
  await promise;
}

async function main(): Promise<number> {
  const mode = readMode(process.argv.slice(2));
  if (mode === "help") process.stdout.write(HELP);
  if (mode === "version") process.stdout.write(`${VERSION}\n`);
  if (mode === "help" || mode === "version") return 0;
  const { config, tools } = await readSetup();
  if (mode === "run") return await run(config, tools);
  process.stdout.write(
    `Settings: worker ${config.workerId} in ${config.region}, ${config.capacityUnits} units.\n` +
      `ffmpeg ${tools.ffmpegVersion} (${tools.ffmpegPath}), ffprobe ${tools.ffprobeVersion} (${tools.ffprobePath}).\n`,
  );
  return 0;
}

try {
  // Handles that a crash has left open must not keep the process running.
  process.exit(await main());
} catch (error) {
  const known = error instanceof RoomcastError || (error instanceof TypeError && "code" in error);
  process.stderr.write(`${known ? error.message : String(error)}\n`);
  process.exit(known ? 2 : 1);
}
