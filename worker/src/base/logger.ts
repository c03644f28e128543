import { type LogLine, REDACTED, RoomcastError, SECRET_FIELDS, shownText } from "@roomcast/shared";
import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";

/** Names of fields whose value is never written, however it looks. */
const SECRET_NAME = /user_?sig|password|secret|token|authorization|privatemapkey|signature/i;
const MAX_CAUSES = 5;
const MAX_DEPTH = 8;
const MAX_MESSAGE_LENGTH = 2000;

export interface CreateLoggerOptions {
  readonly level: string;
  /** Where the JSON lines go; default: stdout. */
  readonly destination?: DestinationStream;
  /** Texts that are cut out wherever they stand: this process's own secrets. */
  readonly secrets?: readonly string[];
}

/**
 * The process's logger: JSON lines, static messages, structured fields. Everything that is written passes through
 * `shownText`; there is no other way out.
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
  /** Gets each line as the user may read it. */
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
    // The second net; the first is `redacting`.
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
    // A RoomcastError says by its code where it comes from; anything else is a surprise, and its place matters.
    ...(thrown instanceof RoomcastError ? {} : { stack: thrown.stack }),
    ...(thrown.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: describeError(thrown.cause, depth + 1) }),
  };
}

const OWN_FIELDS = new Set(["level", "time", "pid", "hostname", "msg", "taskId", "attempt", "sdkAppId", "room"]);

/** A written (so already redacted) line as its task's log shows it; null where it is none for users. */
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
    message: message.slice(0, MAX_MESSAGE_LENGTH),
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
