import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EdgeClient } from "@roomcast/dev/stack/edge-client";
import { startProcess } from "@roomcast/dev/stack/process-handle";
import { authorizationOf, edgeSettings, newStackSecrets, type StackSecrets } from "@roomcast/dev/stack/stack-secrets";
import { makeTempFolder } from "@roomcast/dev/stack/temp-folder";
import { build } from "esbuild";
import { z } from "zod";
import { EDGE_BUNDLE, EDGE_SOCKET, workerdConfig, YARDSTICK_BUNDLE, YARDSTICK_SOCKET } from "./workerd-config.ts";

/** One workerd with the edge and the yardstick, without a proxy before it. */
export interface EdgeWorkerd {
  /** The one process. */
  readonly pid: number;
  /** Of workerd. */
  readonly version: string;
  readonly edgePort: number;
  readonly yardstickPort: number;
  readonly secrets: StackSecrets;
  /** The value of an Authorization header that may do everything. */
  readonly authorization: string;
  readonly client: EdgeClient;
  /** Where the objects' databases are. */
  readonly stateParent: string;
  /** The last lines that it said. */
  output(): string;
  /** Idempotent. */
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/**
 * Costs are measured here, not how soon silence is noticed: on a busy machine a process may not run for seconds, and a
 * fleet of which some workers were cut off is measured in vain. How late the edge answers is in the report.
 */
const HEARTBEAT_TIMEOUT_MS = "30000";
const READY_TIMEOUT_MS = 20_000;
/**
 * A file system in memory: workerd waits for the disk on the one thread that runs all objects, where Cloudflare
 * replicates over the network beside it. On a disk this would measure the disk.
 */
const MEMORY_FOLDER = "/dev/shm";

const packageSchema = z.object({ default: z.string(), version: z.string() });
const listenMessage = z.object({ event: z.literal("listen"), socket: z.string(), port: z.int() });
const wranglerObjects = /name = "(\w+)"\s+class_name = "(\w+)"/g;
const wranglerDate = /^compatibility_date = "([\d-]+)"/m;

/**
 * Bundles the edge as wrangler does and runs it.
 *
 * @param overrides variables of the edge, instead of their defaults
 * @throws Error when it does not start; its last output is in the message.
 */
export async function startEdgeWorkerd(overrides: Readonly<Record<string, string>> = {}): Promise<EdgeWorkerd> {
  const stateParent = existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir();
  const folder = await makeTempFolder();
  const state = await makeTempFolder(stateParent);
  const removeFolders = () => Promise.all([folder.remove(), state.remove()]);
  try {
    const secrets = newStackSecrets();
    const settings = { ...edgeSettings(secrets), HEARTBEAT_TIMEOUT_MS, ...overrides };
    await Promise.all([
      bundle(join(ROOT, "edge/src/index.ts"), join(folder.path, EDGE_BUNDLE)),
      bundle(fileURLToPath(new URL("yardstick-worker.mjs", import.meta.url)), join(folder.path, YARDSTICK_BUNDLE)),
    ]);
    const configPath = join(folder.path, "config.capnp");
    const { compatibilityDate, objects } = await readWrangler();
    const variables = Object.keys(settings);
    await writeFile(configPath, workerdConfig({ compatibilityDate, objects, variables, stateFolder: state.path }));
    const { path, version } = workerdPackage();
    const ports = new Map<string, number>();
    const listening = Promise.withResolvers<void>();
    const workerd = await startProcess({
      name: "workerd",
      command: path,
      args: ["serve", configPath, "--control-fd=1"],
      env: { ...process.env, ...settings },
      onLine: (line) => {
        const message = listenMessage.safeParse(parsed(line)).data;
        if (message !== undefined) ports.set(message.socket, message.port);
        if (ports.has(EDGE_SOCKET) && ports.has(YARDSTICK_SOCKET)) listening.resolve();
      },
    });
    const stop = async () => {
      await workerd.stop();
      await removeFolders();
    };
    await workerd.untilReady(listening.promise, READY_TIMEOUT_MS).catch(async (thrown: unknown) => {
      await workerd.stop();
      throw thrown;
    });
    const edgePort = ports.get(EDGE_SOCKET) ?? 0;
    const authorization = authorizationOf(secrets);
    return {
      pid: workerd.pid,
      version,
      edgePort,
      yardstickPort: ports.get(YARDSTICK_SOCKET) ?? 0,
      secrets,
      authorization,
      client: new EdgeClient({ url: `http://127.0.0.1:${edgePort}`, authorization }),
      stateParent,
      output: () => workerd.output(),
      stop,
    };
  } catch (error) {
    await removeFolders();
    throw error;
  }
}

/** With the conditions that wrangler gives to esbuild. */
async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    logLevel: "error",
  });
}

/** The package's main module exports where its binary is; it has no types. */
function workerdPackage(): { path: string; version: string } {
  const { default: path, version } = packageSchema.parse(createRequire(import.meta.url)("workerd"));
  return { path, version };
}

async function readWrangler(): Promise<{ compatibilityDate: string; objects: Record<string, string> }> {
  const toml = await readFile(join(ROOT, "wrangler.toml"), "utf8");
  const objects = [...toml.matchAll(wranglerObjects)].map(
    ([, name = "", className = ""]) => [name, className] as const,
  );
  const compatibilityDate = wranglerDate.exec(toml)?.[1];
  if (compatibilityDate === undefined || objects.length === 0) {
    throw new Error("wrangler.toml has no compatibility_date or no Durable Objects where they are looked for.");
  }
  return { compatibilityDate, objects: Object.fromEntries(objects) };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
