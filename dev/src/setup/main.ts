// dev/bootstrap.mjs calls this as `main.ts <command> …`, with the Node version that the packages bring.

import { readOptions, type Usage, UsageError } from "../command-line/read-options.ts";
import { DEMO_USAGE } from "../demo/demo-usage.ts";
import { DEV_USAGE } from "../demo/dev-usage.ts";
import { TRTC_CHECK_USAGE } from "../trtc-check/trtc-check-usage.ts";
import { ensureTools } from "./ensure-tools.ts";
import { printWorkerToken, WORKER_TOKEN_USAGE } from "./print-worker-token.ts";
import { runChecks } from "./run-checks.ts";
import { QUIET_TURBO, runProgram } from "./run-program.ts";
import { runTests } from "./run-tests.ts";
import type { Tool } from "./tool-install-plan.ts";

interface Command {
  readonly needs: readonly Tool[];
  /** The command's options, if they are defined here. They are checked before anything is installed or started. */
  readonly usage?: Usage;
  /** Resolves to the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  // This is imported only when needed, because it loads half of the project.
  demo: {
    needs: ["ffmpeg", "redis-server"],
    usage: DEMO_USAGE,
    run: async (args) => (await import("../demo/run-demo.ts")).runDemo(args),
  },
  dev: {
    needs: ["ffmpeg", "redis-server"],
    usage: DEV_USAGE,
    run: async () => (await import("../demo/run-dev.ts")).runDev(),
  },
  bench: {
    needs: ["ffmpeg", "redis-server"],
    run: (args) => runProgram({ name: "node", args: ["bench/src/main.ts", ...args] }),
  },
  "worker-token": { needs: [], usage: WORKER_TOKEN_USAGE, run: (args) => printWorkerToken(args) },
  "trtc-check": {
    needs: ["ffmpeg"],
    usage: TRTC_CHECK_USAGE,
    run: async (args) => (await import("../trtc-check/run-trtc-check.ts")).runTrtcCheck(args),
  },
  build: {
    needs: [],
    run: () => runProgram({ name: "turbo", args: ["run", "build", "--output-logs=errors-only"], env: QUIET_TURBO }),
  },
  format: { needs: [], run: () => runProgram({ name: "biome", args: ["check", "--write", "."] }) },
  check: { needs: [], run: () => runChecks() },
  test: { needs: ["ffmpeg", "redis-server"], run: (args) => runTests(args) },
  "test:long": {
    needs: ["ffmpeg", "redis-server"],
    run: (args) => runTests(["--config", "vitest.long.config.ts", ...args]),
  },
};

async function main([name = "", ...args]: readonly string[]): Promise<number> {
  const command = COMMANDS[name];
  if (command === undefined) {
    process.stderr.write(`Unknown command "${name}": expected one of ${Object.keys(COMMANDS).join(", ")}.\n`);
    return 2;
  }
  try {
    if (command.usage !== undefined && readOptions(command.usage, args)["help"] === true) {
      process.stdout.write(command.usage.help);
      return 0;
    }
    await ensureTools({ wanted: command.needs, say: (line) => process.stderr.write(`${line}\n`) });
    return await command.run(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

const exitCode = await main(process.argv.slice(2));
// The channel to the process that started this one would keep it alive.
if (process.connected) process.disconnect();
process.exitCode = exitCode;
