import type { Readable } from "node:stream";
import { shownText } from "@roomcast/shared";
import { childEnvironment } from "./child-environment.ts";
import { FFMPEG_LIMITS } from "./child-limits.ts";
import { childMemory } from "./child-memory.ts";
import type { FfmpegArguments } from "./ffmpeg-arguments.ts";
import { type FfmpegOutcome, type StartedFfmpeg, startFfmpeg } from "./start-ffmpeg.ts";

/** The end of an ffmpeg process, with the last lines of its stderr. */
export interface FfmpegExit extends FfmpegOutcome {
  /** The last lines that the process wrote to stderr, redacted. */
  readonly stderrTail: readonly string[];
  /** The memory limit that the process exceeded, if it was ended because of that. */
  readonly memoryLimitBytes?: number;
}

export interface FfmpegProcessOptions {
  readonly args: FfmpegArguments;
  /** Environment variables in addition to the worker's. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** The stream for stdin if an input's source is `pipe:0`. */
  readonly stdin?: Readable;
  /** Called with each piece of stdout, in order. */
  readonly onData: (chunk: Buffer) => void;
  /** Called once after the process has ended. If it ended by itself, all of its output was passed on before. */
  readonly onExit: (exit: FfmpegExit) => void;
}

const STDERR_LINES = 30;
const STDERR_LINE_LENGTH = 400;

/**
 * One ffmpeg child that writes to a pipe.
 *
 * The process cannot outlive its worker: it reads the worker's loopback gateway or stdin and writes to the worker's
 * pipe, and all three end with the worker.
 */
export class FfmpegProcess {
  readonly #options: FfmpegProcessOptions;
  readonly #child: StartedFfmpeg;
  readonly #stderrTail: string[] = [];
  readonly #exited = Promise.withResolvers<void>();
  #paused = false;
  #stopping = false;
  /** The callback of the piece that is held back while paused. The pipe fills up, and then ffmpeg waits. */
  #held: (() => void) | undefined;
  #outcome: FfmpegOutcome | undefined;
  #outputEnded = false;
  #settled = false;
  #memoryLimitBytes: number | undefined;
  #unwatch: (() => void) | undefined;

  constructor(options: FfmpegProcessOptions) {
    this.#options = options;
    this.#child = startFfmpeg({
      args: options.args,
      env: childEnvironment(options.environment),
      stdin: options.stdin,
      onStart: (pid) => this.#watchMemory(pid),
      onData: (chunk, done) => this.#take(chunk, done),
      onDataEnd: () => {
        this.#outputEnded = true;
        this.#settle();
      },
      onStderrLine: (line) => this.#keep(line),
      onEnd: (outcome) => this.#ended(outcome),
    });
  }

  /** Stops reading stdout. ffmpeg stops soon after, when the pipe is full. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#release();
  }

  /**
   * Kills the process; idempotent, resolves when it is gone. The signal is SIGKILL, because an ffmpeg that is blocked
   * on its output does not see a SIGTERM.
   */
  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      if (this.#outcome === undefined) this.#child.kill();
      this.#release();
      this.#settle();
    }
    await this.#exited.promise;
  }

  #watchMemory(pid: number | undefined): void {
    if (pid === undefined || this.#outcome !== undefined) return;
    this.#unwatch = childMemory.watch({
      pid,
      limitBytes: FFMPEG_LIMITS.residentBytes,
      onExcess: (limitBytes) => {
        this.#memoryLimitBytes = limitBytes;
        this.#child.kill();
      },
    });
  }

  #take(chunk: Buffer, done: () => void): void {
    if (!this.#stopping) this.#options.onData(chunk);
    if (this.#paused && !this.#stopping) this.#held = done;
    else done();
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

  #ended(outcome: FfmpegOutcome): void {
    this.#unwatch?.();
    this.#outcome ??= outcome;
    this.#settle();
  }

  /**
   * Reports the exit once the process and its stderr have ended. Unless the process was stopped, this waits for its
   * last output, which may arrive afterwards.
   */
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
