import { type LogLine, printableLine, REDACTED, RoomcastError, SECRET_FIELDS, shownText } from "@roomcast/shared";
import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";

/** Names of fields whose value is never written, whatever it is. */
const SECRET_NAME = /user_?sig|password|secret|token|authorization|privatemapkey|signature/i;
const MAX_CAUSES = 5;
const MAX_DEPTH = 8;
const MAX_MESSAGE_LENGTH = 2000;

export interface CreateLoggerOptions {
  readonly level: string;
  /** The destination of the JSON lines. The default is stdout. */
  readonly destination?: DestinationStream;
  /** The secrets of this process, which are removed from every text. */
  readonly secrets?: readonly string[];
}

/**
 * The process's logger: JSON lines, static messages, structured fields. Everything that is written passes through
 * `shownText`, without exception.
 */
export function createLogger(options: CreateLoggerOptions): Logger {
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true });
  return pino(loggerOptions(options.level), redacting(destination, options.secrets ?? []));
}

export interface TaskLoggerOptions extends CreateLoggerOptions {
  readonly taskId: string;
  readonly attempt: number;
  readonly sdkAppId: number;
  /** The integer or the name of its room. */
  readonly room: number | string;
  /** Receives each line in the form that users may read. */
  readonly onLine: (line: LogLine) => void;
}

/** A task's logger: its lines go to the process's log and, as text, to the task's own. */
export function createTaskLogger(options: TaskLoggerOptions): Logger {
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true });
  const both: DestinationStream = {
    write(line) {
      destination.write(line);
      const forTask = toLogLine(line);
      if (forTask !== null) options.onLine(forTask);
    },
  };
  return pino(loggerOptions(options.level), redacting(both, options.secrets ?? [])).child({
    taskId: options.taskId,
    attempt: options.attempt,
    sdkAppId: options.sdkAppId,
    room: options.room,
  });
}

function loggerOptions(level: string): LoggerOptions {
  return {
    level,
    base: { pid: process.pid },
    serializers: { err: (thrown: unknown) => describeError(thrown) },
    // This is the second safeguard; the first is `redacting`.
    redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: REDACTED },
  };
}

function redacting(destination: DestinationStream, secrets: readonly string[]): DestinationStream {
  return {
    write(line) {
      destination.write(`${JSON.stringify(shown(JSON.parse(line), secrets, 0))}\n`);
    },
  };
}

function shown(value: unknown, secrets: readonly string[], depth: number): unknown {
  if (typeof value === "string") return shownText(value, secrets);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "…";
  if (Array.isArray(value)) return value.map((item) => shown(item, secrets, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      SECRET_NAME.test(name) && typeof item === "string" ? REDACTED : shown(item, secrets, depth + 1),
    ]),
  );
}

function describeError(thrown: unknown, depth = 0): unknown {
  if (!(thrown instanceof Error)) return { message: typeof thrown === "string" ? thrown : typeof thrown };
  const code: unknown = "code" in thrown ? thrown.code : undefined;
  return {
    type: thrown.name,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    message: thrown.message,
    // The code of a RoomcastError shows where it comes from. Any other error is unexpected, so its stack is needed.
    ...(thrown instanceof RoomcastError ? {} : { stack: thrown.stack }),
    ...(thrown.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: describeError(thrown.cause, depth + 1) }),
  };
}

const OWN_FIELDS = new Set(["level", "time", "pid", "hostname", "msg", "taskId", "attempt", "sdkAppId", "room"]);

/** Converts a written, and so already redacted, line for the task's log. Returns null if it is not for users. */
function toLogLine(line: string): LogLine | null {
  // SAFETY: pino has just written this object.
  const record = JSON.parse(line) as Record<string, unknown>;
  const level = Number(record.level);
  if (level < 20) return null;
  const details = Object.entries(record)
    .filter(([name]) => !OWN_FIELDS.has(name))
    .map(([name, value]) => (name === "err" ? errorText(value) : `${name}=${plain(value)}`));
  const message = [typeof record.msg === "string" ? record.msg : "", ...details].join(" ").trim();
  return {
    atMs: Number(record.time),
    level: level >= 50 ? "error" : level >= 40 ? "warn" : level >= 30 ? "info" : "debug",
    message: printableLine(message).slice(0, MAX_MESSAGE_LENGTH),
  };
}

function errorText(value: unknown): string {
  if (typeof value !== "object" || value === null) return plain(value);
  const code = "code" in value ? `${plain(value.code)}: ` : "";
  return `${code}${"message" in value ? plain(value.message) : ""}`;
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
