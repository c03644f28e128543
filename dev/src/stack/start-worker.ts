import { fileURLToPath } from "node:url";
import { type ProcessExit, type ProcessHandle, startProcess } from "./process-handle.ts";

export interface StartWorkerOptions {
  /** Settings by their names in docs/operations.md; `ROOMCAST_EDGE_URL` and `ROOMCAST_WORKER_TOKEN` at least. */
  readonly settings: Readonly<Record<string, string>>;
  /** Default: the worker's sources. */
  readonly program?: string;
  /** Node options before the program, as `--watch`. */
  readonly nodeOptions?: readonly string[];
  /** Told of every line of its log. */
  readonly onLine?: (line: string) => void;
}

/** A media worker in a separate process. */
export interface WorkerHandle {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  /** undefined while it runs. */
  readonly exit: ProcessExit | undefined;
  /** The last lines of its log. */
  output(): string;
  signal(signal: NodeJS.Signals): void;
  /** Drains, then ends; idempotent. */
  stop(): Promise<void>;
  /** As a crash would end it, with its ffmpeg processes. */
  kill(): Promise<void>;
}

const MAIN = fileURLToPath(new URL("../../../worker/src/main.ts", import.meta.url));
const STOP_TIMEOUT_MS = 30_000;

/**
 * Starts `worker/src/main.ts` and resolves when the process runs. The edge's `GET /v1/workers` shows whether the worker
 * is connected.
 */
export async function startWorker(options: StartWorkerOptions): Promise<WorkerHandle> {
  const worker: ProcessHandle = await startProcess({
    name: "worker",
    command: process.execPath,
    args: [...(options.nodeOptions ?? []), options.program ?? MAIN],
    env: { ...withoutWorkerSettings(process.env), ...options.settings },
    stopTimeoutMs: STOP_TIMEOUT_MS,
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
  return worker;
}

/** Settings of the shell that runs us are for another worker. */
function withoutWorkerSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("ROOMCAST_")));
}
