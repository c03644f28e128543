import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type ProcessHandle, startProcess } from "./process-handle.ts";
import { makeTempFolder } from "./temp-folder.ts";

export interface StartEdgeOptions {
  /** The secrets and variables of the edge (docs/operations.md): `CREDENTIALS`, `WORKER_TOKEN_KEY`, … */
  readonly settings: Readonly<Record<string, string>>;
  /** Without it a free one is taken. Given, a restarted edge is found where it was. */
  readonly port?: number;
  /** The folder in which the Durable Objects are kept. Without it they are removed when the edge stops. */
  readonly stateFolder?: string;
  /** Told of every line that the edge says. */
  readonly onLine?: (line: string) => void;
}

/** `wrangler dev` with the edge in a real workerd. */
export interface EdgeHandle {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  /** The last lines that it said. */
  output(): string;
  /** Idempotent. */
  stop(): Promise<void>;
  /** As a crash would end it. */
  kill(): Promise<void>;
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const HOST = "127.0.0.1";
const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

const readyMessage = z.object({ event: z.literal("DEV_SERVER_READY"), port: z.int() });

/**
 * Starts the edge and resolves when `GET /healthz` answers.
 *
 * @throws Error when it does not start; its last output is in the message.
 */
export async function startEdge(options: StartEdgeOptions): Promise<EdgeHandle> {
  const folder = await makeTempFolder();
  const listening = Promise.withResolvers<number>();
  let wrangler: ProcessHandle | undefined;
  try {
    const envFile = join(folder.path, "edge.env");
    await writeFile(envFile, toEnvFile(options.settings), { mode: 0o600 });
    const flags = {
      config: join(ROOT, "wrangler.toml"),
      "env-file": envFile,
      ip: HOST,
      port: options.port ?? 0,
      "inspector-port": 0,
      "persist-to": options.stateFolder ?? join(folder.path, "state"),
      "show-interactive-dev-session": false,
    };
    wrangler = await startProcess({
      name: "edge (wrangler dev)",
      command: process.execPath,
      args: [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "dev", ...toArguments(flags)],
      cwd: ROOT,
      env: {
        ...process.env,
        WRANGLER_SEND_METRICS: "false",
        // wrangler would write every URL that the edge calls into a trace store on disk, tokens of webhooks included.
        X_LOCAL_OBSERVABILITY: "false",
        WRANGLER_HIDE_BANNER: "true",
        WRANGLER_LOG_PATH: join(folder.path, "logs"),
        // A laptop has no Request.cf, and fetching an example of one needs the internet.
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        // The explorer would let everybody on this machine read and change the Durable Objects without a credential.
        X_LOCAL_EXPLORER: "false",
        // Edges of other tests must not find each other.
        WRANGLER_REGISTRY_PATH: join(folder.path, "registry"),
      },
      ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
      onMessage: (message) => {
        const port = readyPort(message);
        if (port !== undefined) listening.resolve(port);
      },
    });
    const port = await wrangler.untilReady(listening.promise, READY_TIMEOUT_MS);
    const url = `http://${HOST}:${port}`;
    await untilHealthy(wrangler, url);
    return handleOf(wrangler, { url, port, removeFolder: () => folder.remove() });
  } catch (error) {
    await wrangler?.stop();
    await folder.remove();
    throw error;
  }
}

function handleOf(
  wrangler: ProcessHandle,
  { url, port, removeFolder }: { url: string; port: number; removeFolder: () => Promise<void> },
): EdgeHandle {
  return {
    url,
    port,
    output: () => wrangler.output(),
    stop: async () => {
      await wrangler.stop();
      await removeFolder();
    },
    kill: async () => {
      await wrangler.kill();
      await removeFolder();
    },
  };
}

function toArguments(flags: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

/** wrangler sends its address to the process that started it. */
function readyPort(message: unknown): number | undefined {
  if (typeof message !== "string") return undefined;
  try {
    return readyMessage.safeParse(JSON.parse(message)).data?.port;
  } catch {
    return undefined;
  }
}

async function untilHealthy(wrangler: ProcessHandle, url: string): Promise<void> {
  const giveUp = new AbortController();
  try {
    await wrangler.untilReady(askUntilHealthy(url, giveUp.signal), READY_TIMEOUT_MS);
  } finally {
    giveUp.abort();
  }
}

async function askUntilHealthy(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const answer = await fetch(`${url}/healthz`, { signal }).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** dotenv does not change text in single quotes. wrangler then expands every `$` that has no backslash. */
function toEnvFile(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => {
      if (/['\r\n]/.test(value)) throw new Error(`${name} holds a quote or a line break, which an env file cannot.`);
      return `${name}='${value.replaceAll("$", "\\$")}'\n`;
    })
    .join("");
}
