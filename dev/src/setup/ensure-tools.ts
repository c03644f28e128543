import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findInstallMeans } from "./install-means.ts";
import { findMissingTools, type MissingTool } from "./missing-tools.ts";
import { planToolInstall, type Tool, withUpdate } from "./tool-install-plan.ts";

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export interface EnsureToolsOptions {
  readonly wanted: readonly Tool[];
  /** Prints a line for the user. */
  readonly say: (line: string) => void;
}

/**
 * Ensures that the programs can be run: it finds them, or installs them where that is allowed without a prompt.
 *
 * @throws Error whose message says exactly what the user has to run.
 */
export async function ensureTools({ wanted, say }: EnsureToolsOptions): Promise<void> {
  const missing = await findMissingTools(wanted);
  if (missing.length === 0) return;
  if (missing.some(({ named }) => named)) throw new Error(reasons(missing));
  const tools = missing.map(({ tool }) => tool);
  const plan = planToolInstall(tools, await findInstallMeans());
  if (plan.name === "ask") throw new Error(plan.message);
  if (plan.name === "install") {
    say(`Installing ${tools.join(" and ")} (${packageManagerOf(plan.commands)}) …`);
    await install(plan.commands);
  }
  const stillMissing = await findMissingTools(wanted);
  if (stillMissing.length > 0)
    throw new Error(`Something is missing after it was installed:\n${reasons(stillMissing)}`);
  say(`Installed ${tools.join(" and ")}.`);
}

function reasons(missing: readonly MissingTool[]): string {
  return missing.map(({ why }) => why).join("\n");
}

type Commands = readonly (readonly string[])[];

/** The package lists of a machine may be there and too old to install from: then they are updated, once. */
async function install(commands: Commands): Promise<void> {
  try {
    await runAll(commands);
  } catch (error) {
    const updated = withUpdate(commands);
    if (updated === commands) throw error;
    await runAll(updated);
  }
}

async function runAll(commands: Commands): Promise<void> {
  for (const [command, ...args] of commands) {
    if (command === undefined) continue;
    const running = run(command, args, {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", HOMEBREW_NO_AUTO_UPDATE: "1", NONINTERACTIVE: "1" },
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    // Standard input is closed, so that a package's question fails instead of waiting.
    running.child.stdin?.end();
    await running.catch((error: unknown) => {
      const output = isOutput(error) ? `${error.stdout}${error.stderr}` : "";
      throw new Error(`This failed: ${[command, ...args].join(" ")}\n${output.trimEnd()}`, { cause: error });
    });
  }
}

function isOutput(error: unknown): error is { stdout: string; stderr: string } {
  return typeof error === "object" && error !== null && "stdout" in error && "stderr" in error;
}

function packageManagerOf(commands: Commands): string {
  return commands.some((command) => command.includes("apt-get")) ? "apt-get" : "brew";
}
