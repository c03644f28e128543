import { RoomcastError } from "@roomcast/shared";

export interface RedisTarget {
  readonly host: string;
  readonly port: number;
  /** "": the server asks for none. */
  readonly password: string;
}

/** Redis answers like this where it does not want this client (Redis protocol, "Errors"). */
const REFUSALS = /^(WRONGPASS|NOAUTH|NOPERM|DENIED|ERR invalid password|ERR Client sent AUTH)/;
/** It has no password, and one was given: nothing to complain about. */
const NEEDS_NO_PASSWORD = /no password is set|without any password configured/;

export function needsNoPassword(thrown: unknown): boolean {
  return thrown instanceof Error && NEEDS_NO_PASSWORD.test(thrown.message);
}

/** Anything that goes wrong between this worker and a user's Redis, as an error that the user can act on. Pure. */
export function redisError(thrown: unknown, target: RedisTarget): RoomcastError {
  const where = `Redis at ${target.host}:${target.port}`;
  if (thrown instanceof RoomcastError) {
    if (thrown.code.startsWith("FailedOperation.Redis")) return thrown;
    const refused = thrown.code === "FailedOperation.SourceForbidden";
    return new RoomcastError(
      refused ? "FailedOperation.RedisRefused" : "FailedOperation.RedisUnreachable",
      `${where} cannot be used: ${thrown.message}`,
      { cause: thrown },
    );
  }
  const message = thrown instanceof Error ? thrown.message : "";
  if (REFUSALS.test(message)) {
    return new RoomcastError(
      "FailedOperation.RedisRefused",
      `${where} refused the connection: check RedisPassword${target.password === "" ? ", which is empty" : ""}.`,
      // ioredis hangs the command, and so the password, on its errors: only the text goes on.
      { cause: new Error(message) },
    );
  }
  return new RoomcastError(
    "FailedOperation.RedisUnreachable",
    `${where} ${reason(thrown)}: check RedisHost and RedisPort, and that the media workers of this region can reach it.`,
    { cause: new Error(message) },
  );
}

function reason(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  const message = thrown instanceof Error ? thrown.message : "";
  if (code === "ECONNREFUSED") return "refuses connections";
  if (code === "ETIMEDOUT" || /timed? ?out/i.test(message)) return "does not answer";
  if (message.startsWith("LOADING")) return "is still loading its data";
  if (/Protocol error|Parser/i.test(message)) return "does not speak Redis' protocol";
  return "cannot be reached";
}
