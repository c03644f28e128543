import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** turbo sends nothing anywhere and asks for no newer one. */
export const QUIET_TURBO = { TURBO_TELEMETRY_DISABLED: "1", TURBO_NO_UPDATE_NOTIFIER: "1" };

export interface RunProgramOptions {
  /** The name of a program that the packages bring: `vitest`, `biome`, … */
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program of node_modules/.bin in this terminal, without standard input. Resolves to its exit code. */
export function runProgram({ name, args, env }: RunProgramOptions): Promise<number> {
  const child = spawn(join(ROOT, "node_modules", ".bin", name), args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const passOn = (signal: NodeJS.Signals) => child.kill(signal);
  const end = () => child.kill("SIGTERM");
  process.on("SIGINT", passOn).on("SIGTERM", passOn).on("SIGHUP", passOn).on("disconnect", end);
  return new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  }).finally(() => {
    process.off("SIGINT", passOn).off("SIGTERM", passOn).off("SIGHUP", passOn).off("disconnect", end);
  });
}
