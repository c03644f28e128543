import { type Readable, Writable } from "node:stream";
import { promisify } from "node:util";
import { shownText } from "@roomcast/shared";
import createCommand from "fluent-ffmpeg";
import { FFMPEG_LIMITS, limitedCommand } from "./child-limits.ts";
import type { FfmpegArguments } from "./ffmpeg-arguments.ts";

/** The end of an ffmpeg process: its exit code, its signal, or the reason why it could not be started. */
export interface FfmpegOutcome {
  /** The exit code; null if a signal ended the process, or if it never ran. */
  readonly code: number | null;
  readonly signal: string | null;
  /** The reason if the process could not be started. */
  readonly startError?: string;
}

export interface StartFfmpegOptions {
  readonly args: FfmpegArguments;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The stream for stdin if an input's source is `pipe:0`. */
  readonly stdin?: Readable | undefined;
  /** Called when the process runs. */
  readonly onStart: (pid: number | undefined) => void;
  /** Called with a piece of stdout. The next piece comes after `done` is called. */
  readonly onData: (chunk: Buffer, done: () => void) => void;
  /** Called when stdout has ended. */
  readonly onDataEnd: () => void;
  /** Called with each line of stderr. */
  readonly onStderrLine: (line: string) => void;
  /** Called when the process and its stderr have ended, or it could not be started. More stdout may follow. */
  readonly onEnd: (outcome: FfmpegOutcome) => void;
}

/** A running ffmpeg. */
export interface StartedFfmpeg {
  /** Sends SIGKILL. A process that is still being started is killed when it runs. */
  kill(): void;
}

/** The number of lines of stdout or stderr that fluent-ffmpeg keeps. */
const KEPT_LINES = 30;

/**
 * Starts ffmpeg under its limits, through fluent-ffmpeg. No other file uses that package, so that it can be replaced in
 * this one place (docs/adr/0004-fluent-ffmpeg-in-one-file.md).
 */
export function startFfmpeg(options: StartFfmpegOptions): StartedFfmpeg {
  const { args, env, stdin } = options;
  const command = createCommand({ stdoutLines: KEPT_LINES });
  let killed = false;
  setSurroundings(command, env);
  for (const input of args.inputs) {
    // SAFETY: a pipe:0 input comes with a stdin; fluent-ffmpeg takes a stream in place of a name.
    command.input(input.source === "pipe:0" && stdin !== undefined ? stdin : input.source);
    command.inputOptions(...input.options);
  }
  command.outputOptions(...args.outputOptions);
  command.on("start", () => {
    // `kill()` may have come while fluent-ffmpeg was still preparing, when there was no process to kill.
    if (killed) command.kill("SIGKILL");
    const pid: unknown = Reflect.get(Object(Reflect.get(command, "ffmpegProc")), "pid");
    options.onStart(typeof pid === "number" ? pid : undefined);
  });
  command.on("stderr", options.onStderrLine);
  command.on("end", () => options.onEnd({ code: 0, signal: null }));
  command.on("error", (error: Error) => {
    // After an input error fluent-ffmpeg sends a SIGTERM, which a process that is blocked on its output does not see.
    if ("inputStreamError" in error) command.kill("SIGKILL");
    options.onEnd(readOutcome(error));
  });
  command.pipe(sinkOf(options), { end: true });
  return {
    kill: () => {
      killed = true;
      command.kill("SIGKILL");
    },
  };
}

/**
 * Sets the path of ffmpeg and makes fluent-ffmpeg query its capabilities, which would otherwise delay the first source
 * by about 400 ms. Call this once per process, before the first `startFfmpeg`.
 */
export async function prepareToStartFfmpeg(tools: { ffmpegPath: string; ffprobePath: string }): Promise<void> {
  createCommand.setFfmpegPath(tools.ffmpegPath);
  createCommand.setFfprobePath(tools.ffprobePath);
  const command = createCommand();
  await Promise.all([
    promisify(command.getAvailableFormats.bind(command))(),
    promisify(command.getAvailableEncoders.bind(command))(),
  ]);
}

/**
 * Returns a stream that never emits `close`. fluent-ffmpeg treats that event as a lost output: 20 ms later it reports
 * an error and sends a SIGTERM, even if ffmpeg is just ending by itself.
 */
function sinkOf({ onData, onDataEnd }: StartFfmpegOptions): Writable {
  return new Writable({
    autoDestroy: false,
    emitClose: false,
    write: (chunk: Buffer, _encoding, done) => onData(chunk, done),
    final: (done) => {
      done();
      onDataEnd();
    },
  });
}

/**
 * Sets the environment and the limits of the process. fluent-ffmpeg has no options for them, but passes the options of
 * one of its methods to `spawn` and gets the program from another method.
 */
function setSurroundings(command: createCommand.FfmpegCommand, env: StartFfmpegOptions["env"]): void {
  const spawnFfmpeg: unknown = Reflect.get(command, "_spawnFfmpeg");
  const findFfmpeg: unknown = Reflect.get(command, "_getFfmpegPath");
  if (typeof spawnFfmpeg !== "function" || typeof findFfmpeg !== "function") {
    throw new TypeError("fluent-ffmpeg starts ffmpeg in an unknown way.");
  }
  const spawnLimited = (args: readonly string[], options: object, ...callbacks: unknown[]) => {
    const spawnFound = (_error: unknown, program: string | undefined) => {
      // Without a program fluent-ffmpeg reports an error by itself.
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

/**
 * Reads the exit code or the signal from the message of fluent-ffmpeg, because fluent-ffmpeg does not give them
 * anywhere else.
 */
function readOutcome(error: Error): FfmpegOutcome {
  const code = /^ffmpeg exited with code (\d+)/.exec(error.message)?.[1];
  if (code !== undefined) return { code: Number(code), signal: null };
  const signal = /^ffmpeg was killed with signal (\w+)/.exec(error.message)?.[1];
  if (signal !== undefined) return { code: null, signal };
  if ("inputStreamError" in error) return { code: null, signal: "SIGKILL" };
  return { code: null, signal: null, startError: shownText(error.message) };
}
