import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { z } from "zod";
import { EdgeClient } from "./edge-client.ts";
import { startProcess } from "./process-handle.ts";
import { authorizationOf, edgeSettings, newStackSecrets, type StackSecrets } from "./stack-secrets.ts";
import { makeTempFolder } from "./temp-folder.ts";
import { bundleOf, COMPANION, EDGE, workerdConfig } from "./workerd-config.ts";

export interface EdgeWorkerdOptions {
  /** Variables of the edge, instead of their defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /** True if the edge may also call private networks. The default is false, as in workerd. */
  readonly reachesPrivate?: boolean;
  /** A second worker in the same process. */
  readonly companion?: {
    /** The path of its main module. */
    readonly entry: string;
    /** Its bindings of Durable Objects: name → class. */
    readonly objects: Readonly<Record<string, string>>;
  };
}

/** One workerd with the edge, without the proxies that `wrangler dev` puts before it. */
export interface EdgeWorkerd {
  /** The one process. */
  readonly pid: number;
  /** Of workerd. */
  readonly version: string;
  readonly edgePort: number;
  /** 0: it has no companion. */
  readonly companionPort: number;
  readonly secrets: StackSecrets;
  /** The value of an Authorization header that may do everything. */
  readonly authorization: string;
  readonly client: EdgeClient;
  /** The place of the objects' databases. */
  readonly stateParent: string;
  /** The last lines that it said. */
  output(): string;
  /** Idempotent. */
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
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
 * @throws Error when it does not start; its last output is in the message.
 */
export async function startEdgeWorkerd(options: EdgeWorkerdOptions = {}): Promise<EdgeWorkerd> {
  const { companion, reachesPrivate = false } = options;
  const stateParent = existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir();
  const folder = await makeTempFolder();
  const state = await makeTempFolder(stateParent);
  const removeFolders = () => Promise.all([folder.remove(), state.remove()]);
  try {
    const secrets = newStackSecrets();
    const settings = { ...edgeSettings(secrets), ...options.settings };
    const entries = [
      [EDGE, join(ROOT, "edge/src/index.ts")],
      ...(companion ? [[COMPANION, companion.entry]] : []),
    ] as const;
    await Promise.all(entries.map(([name, entry]) => bundle(entry, join(folder.path, bundleOf(name)))));
    const configPath = join(folder.path, "config.capnp");
    const { compatibilityDate, objects } = await readWrangler();
    const variables = Object.keys(settings);
    const companionObjects = companion?.objects ?? null;
    const config = { compatibilityDate, objects, companionObjects, variables, stateFolder: state.path, reachesPrivate };
    await writeFile(configPath, workerdConfig(config));
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
        if (ports.size === entries.length) listening.resolve();
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
    const edgePort = ports.get(EDGE) ?? 0;
    const authorization = authorizationOf(secrets);
    return {
      pid: workerd.pid,
      version,
      edgePort,
      companionPort: ports.get(COMPANION) ?? 0,
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
