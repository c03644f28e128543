import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { reaper } from "./reaper.ts";

/** The exit of a process. One of the two fields is null. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartProcessOptions {
  /** Shown in errors: `redis-server`, `edge`, … */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process. */
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Written to its standard input, which then ends; without it there is no standard input. */
  readonly stdin?: string;
  /** Told of every line of its output. */
  readonly onLine?: (line: string) => void;
  /** Given, the process gets Node's message channel, and its messages come here. */
  readonly onMessage?: (message: unknown) => void;
  /** The time to end by SIGTERM before the process is killed, ms. */
  readonly stopTimeoutMs?: number;
}

/** A child process with its whole process group; it dies with this process. */
export interface ProcessHandle {
  readonly name: string;
  readonly pid: number;
  /** Resolves when it has ended and its output is read. */
  readonly exited: Promise<ProcessExit>;
  /** undefined while it runs. */
  readonly exit: ProcessExit | undefined;
  /** The last lines of its output. */
  output(): string;
  /** Sends a signal to the process alone, not to its group. */
  signal(signal: NodeJS.Signals): void;
  /**
   * Resolves when `ready` does.
   *
   * @throws Error when the process ends before, or `timeoutMs` pass; its last output is in the message.
   */
  untilReady<T>(ready: Promise<T>, timeoutMs: number): Promise<T>;
  /** Ends the group: SIGTERM, then SIGKILL. Idempotent; resolves when the process has ended. */
  stop(): Promise<void>;
  /** Ends the group at once, as a crash would. */
  kill(): Promise<void>;
}

/** Leaders of the groups that die with this process. */
const groups = new Set<number>();
process.once("exit", () => {
  for (const pid of groups) signalGroup(pid, "SIGKILL");
});

const KEPT_LINES = 60;
const STOP_TIMEOUT_MS = 5000;

/**
 * Starts a process in a new process group.
 *
 * @throws Error when it cannot be started.
 */
export async function startProcess(options: StartProcessOptions): Promise<ProcessHandle> {
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: [
      options.stdin === undefined ? "ignore" : "pipe",
      "pipe",
      "pipe",
      ...(options.onMessage === undefined ? [] : (["ipc"] as const)),
    ],
  });
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    options.onLine?.(line);
  };
  readLines(child.stdout, onLine);
  readLines(child.stderr, onLine);
  if (options.onMessage !== undefined) child.on("message", options.onMessage);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const pid = await pidOf(child, options.name);
  // A process that ends before it has read all of its input is noticed by its exit, so the broken pipe is ignored.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.stdin);
  return handleOf({ child, pid, exited, lines, options });
}

interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  readonly lines: readonly string[];
  readonly options: StartProcessOptions;
}

function handleOf({ child, pid, exited, lines, options }: Started): ProcessHandle {
  let exit: ProcessExit | undefined;
  let stopping: Promise<void> | undefined;
  reaper().addGroup(pid);
  groups.add(pid);
  const killGroup = () => signalGroup(pid, "SIGKILL");
  // Processes that the group's leader leaves behind are ended too, before the system may use the group's number again.
  child.once("exit", killGroup);
  const ended = exited.then((how) => {
    exit = how;
    groups.delete(pid);
    reaper().removeGroup(pid);
    return how;
  });

  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (exit !== undefined) return;
    signalGroup(pid, signal);
    const timer = setTimeout(killGroup, options.stopTimeoutMs ?? STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }

  const handle: ProcessHandle = {
    name: options.name,
    pid,
    exited: ended,
    get exit() {
      return exit;
    },
    output: () => lines.join("\n"),
    signal: (signal) => {
      if (exit === undefined) child.kill(signal);
    },
    untilReady: (ready, timeoutMs) => untilReady(handle, ready, timeoutMs),
    stop: () => (stopping ??= end("SIGTERM")),
    kill: () => end("SIGKILL"),
  };
  return handle;
}

async function untilReady<T>(handle: ProcessHandle, ready: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(failure(handle, `is not ready after ${timeoutMs} ms`)), timeoutMs);
  });
  const gone = handle.exited.then(({ code, signal }) => {
    throw failure(handle, `ended with ${code === null ? signal : `code ${code}`} before it was ready`);
  });
  try {
    return await Promise.race([ready, tooLate, gone]);
  } finally {
    clearTimeout(timer);
    // The process may still end or be stopped, but nobody waits for these two promises any longer.
    gone.catch(() => {});
  }
}

function failure(handle: ProcessHandle, what: string): Error {
  const output = handle.output();
  return new Error(`${handle.name} ${what}.${output === "" ? "" : ` Its last output:\n${output}`}`);
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on("line", onLine);
}

function pidOf(child: ChildProcess, name: string): Promise<number> {
  const { pid } = child;
  if (pid !== undefined) return Promise.resolve(pid);
  return new Promise((_resolve, reject) => {
    child.once("error", (cause) => reject(new Error(`${name} cannot be started: ${cause.message}`, { cause })));
  });
}

function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-groupId, signal);
  } catch {
    // The whole group has ended.
  }
}
