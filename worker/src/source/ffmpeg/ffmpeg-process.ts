import { type Readable, Writable } from "node:stream";
import { shownText } from "@roomcast/shared";
import createCommand from "fluent-ffmpeg";
import { childEnvironment } from "./child-environment.ts";
import { FFMPEG_LIMITS, limitedCommand } from "./child-limits.ts";
import { childMemory } from "./child-memory.ts";
import type { FfmpegArguments } from "./ffmpeg-arguments.ts";

/** How an ffmpeg process ended. */
export interface FfmpegExit {
  /** null where a signal ended it, or it never ran. */
  readonly code: number | null;
  readonly signal: string | null;
  /** The last lines that it wrote to stderr, redacted. */
  readonly stderrTail: readonly string[];
  /** Why it could not be started. */
  readonly startError?: string;
  /** It was ended because it took more memory than this. */
  readonly memoryLimitBytes?: number;
}

export interface FfmpegProcessOptions {
  readonly args: FfmpegArguments;
  /** Beside what it has of the worker's. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Fed to stdin where an input's source is `pipe:0`. */
  readonly stdin?: Readable;
  /** Takes what ffmpeg writes to stdout, in order. */
  readonly onData: (chunk: Buffer) => void;
  /** Once, after the process has ended and its output, where it ended by itself, was handed on. */
  readonly onExit: (exit: FfmpegExit) => void;
}

const STDERR_LINES = 30;
const STDERR_LINE_LENGTH = 400;

/**
 * One ffmpeg child that writes to a pipe, started through fluent-ffmpeg.
 *
 * It cannot outlive its worker: its source is the worker's own loopback gateway or stdin, its output the worker's pipe,
 * and all three end with the worker.
 */
export class FfmpegProcess {
  readonly #options: FfmpegProcessOptions;
  readonly #command: createCommand.FfmpegCommand;
  readonly #stderrTail: string[] = [];
  readonly #exited = Promise.withResolvers<void>();
  #paused = false;
  #stopping = false;
  /** The write that is held back while paused: the pipe fills up, then ffmpeg waits. */
  #held: (() => void) | undefined;
  #outcome: Omit<FfmpegExit, "stderrTail"> | undefined;
  #outputEnded = false;
  #settled = false;
  #memoryLimitBytes: number | undefined;
  #unwatch: (() => void) | undefined;

  constructor(options: FfmpegProcessOptions) {
    this.#options = options;
    this.#command = createCommand({ stdoutLines: STDERR_LINES });
    setSurroundings(this.#command, childEnvironment(options.environment));
    for (const input of options.args.inputs) {
      // SAFETY: a pipe:0 input comes with a stdin; fluent-ffmpeg takes a stream in place of a name.
      this.#command.input(input.source === "pipe:0" && options.stdin !== undefined ? options.stdin : input.source);
      this.#command.inputOptions(...input.options);
    }
    this.#command.outputOptions(...options.args.outputOptions);
    this.#command.on("start", () => {
      // `stop()` may have come while fluent-ffmpeg was still preparing, when there was no process to kill.
      if (this.#stopping) this.#command.kill("SIGKILL");
      this.#watchMemory();
    });
    this.#command.on("stderr", (line: string) => this.#keep(line));
    this.#command.on("end", () => this.#ended({ code: 0, signal: null }));
    this.#command.on("error", (error: Error) => {
      // A feed that broke: fluent-ffmpeg sends a SIGTERM, which a process that is blocked on its output does not see.
      if ("inputStreamError" in error) this.#command.kill("SIGKILL");
      this.#ended(readOutcome(error));
    });
    this.#command.pipe(this.#sink(), { end: true });
  }

  /** ffmpeg soon stops when the pipe is full. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#release();
  }

  /**
   * Kills the process; idempotent, resolves when it is gone. SIGKILL, because an ffmpeg that is blocked on its output
   * does not see a SIGTERM.
   */
  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      if (this.#outcome === undefined) this.#command.kill("SIGKILL");
      this.#release();
      this.#settle();
    }
    await this.#exited.promise;
  }

  #watchMemory(): void {
    const pid: unknown = Reflect.get(Object(Reflect.get(this.#command, "ffmpegProc")), "pid");
    if (typeof pid !== "number" || this.#outcome !== undefined) return;
    this.#unwatch = childMemory.watch({
      pid,
      limitBytes: FFMPEG_LIMITS.residentBytes,
      onExcess: (limitBytes) => {
        this.#memoryLimitBytes = limitBytes;
        this.#command.kill("SIGKILL");
      },
    });
  }

  /**
   * Never emits `close`: fluent-ffmpeg takes that for a lost output, and 20 ms later reports so and sends a SIGTERM,
   * even where ffmpeg is just ending by itself.
   */
  #sink(): Writable {
    return new Writable({
      autoDestroy: false,
      emitClose: false,
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#stopping) this.#options.onData(chunk);
        if (this.#paused && !this.#stopping) this.#held = done;
        else done();
      },
      final: (done) => {
        done();
        this.#outputEnded = true;
        this.#settle();
      },
    });
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  #keep(line: string): void {
    if (line.trim() === "") return;
    this.#stderrTail.push(shownText(line).slice(0, STDERR_LINE_LENGTH));
    if (this.#stderrTail.length > STDERR_LINES) this.#stderrTail.shift();
  }

  #ended(outcome: Omit<FfmpegExit, "stderrTail">): void {
    this.#unwatch?.();
    this.#outcome ??= outcome;
    this.#settle();
  }

  /** fluent-ffmpeg reports the end when the process and its stderr have ended; its last output may still be on the way. */
  #settle(): void {
    if (this.#outcome === undefined || this.#settled) return;
    if (!this.#outputEnded && !this.#stopping && this.#outcome.startError === undefined) return;
    this.#settled = true;
    this.#exited.resolve();
    const memoryLimitBytes = this.#memoryLimitBytes;
    const ended = memoryLimitBytes === undefined ? {} : { memoryLimitBytes };
    this.#options.onExit({ ...this.#outcome, ...ended, stderrTail: this.#stderrTail });
  }
}

/**
 * The environment and the limits of the process. fluent-ffmpeg has no options for them, but hands the options of its own
 * method on to `spawn`, and asks another one for the program.
 */
function setSurroundings(command: createCommand.FfmpegCommand, env: Record<string, string | undefined>): void {
  const spawnFfmpeg: unknown = Reflect.get(command, "_spawnFfmpeg");
  const findFfmpeg: unknown = Reflect.get(command, "_getFfmpegPath");
  if (typeof spawnFfmpeg !== "function" || typeof findFfmpeg !== "function") {
    throw new TypeError("fluent-ffmpeg starts ffmpeg in an unknown way.");
  }
  const spawnLimited = (args: readonly string[], options: object, ...callbacks: unknown[]) => {
    const spawnFound = (_error: unknown, program: string | undefined) => {
      // Without a program it fails by itself, and says so.
      const limited = program ? limitedCommand(program, args, FFMPEG_LIMITS) : { command: program, args };
      Reflect.set(command, "_getFfmpegPath", (found: (error: null, path: string | undefined) => void) =>
        found(null, limited.command),
      );
      Reflect.apply(spawnFfmpeg, command, [[...limited.args], { ...options, env }, ...callbacks]);
    };
    Reflect.apply(findFfmpeg, command, [spawnFound]);
  };
  Reflect.set(command, "_spawnFfmpeg", spawnLimited);
}

/** fluent-ffmpeg has the exit code and the signal in its prose only; what it adds from stderr is kept elsewhere. */
function readOutcome(error: Error): Omit<FfmpegExit, "stderrTail"> {
  const code = /^ffmpeg exited with code (\d+)/.exec(error.message)?.[1];
  if (code !== undefined) return { code: Number(code), signal: null };
  const signal = /^ffmpeg was killed with signal (\w+)/.exec(error.message)?.[1];
  if (signal !== undefined) return { code: null, signal };
  if ("inputStreamError" in error) return { code: null, signal: "SIGKILL" };
  return { code: null, signal: null, startError: shownText(error.message) };
}
