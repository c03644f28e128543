import { RoomcastError, shownText } from "@roomcast/shared";

export interface RedisTarget {
  readonly host: string;
  readonly port: number;
  /** "" for the server's default user. */
  readonly user: string;
  /** "" if the server needs no password. */
  readonly password: string;
  readonly tls: boolean;
  readonly db: number;
}

/** The error of a connection that the server closed before it answered. */
export class ClosedUnanswered extends Error {}

interface Problem {
  /** Matched against the error text of the server or the system. */
  readonly sign: RegExp;
  /** True if a retry cannot help. */
  readonly refused: boolean;
  readonly what: string;
  readonly cure: (target: RedisTarget) => string;
}

const COMMANDS = "EVAL, HGETALL, HMGET, HSET and PEXPIRE on the keys roomcast:progress:*";
const WAIT = () => "start the push again in a moment";

/**
 * The problems that replies of the server show. Older servers wrap a script's errors, so the code may be anywhere in
 * the message.
 */
const ANSWERS: readonly Problem[] = [
  {
    sign: /wrong number of arguments for '?auth/i,
    refused: true,
    what: "knows no users",
    cure: () => "leave out RedisUser",
  },
  {
    sign: /^(?:WRONGPASS|NOAUTH|ERR invalid password|ERR Client sent AUTH)/,
    refused: true,
    what: "refused the connection",
    cure: ({ user, password }) =>
      `check ${user === "" ? "" : "RedisUser and "}RedisPassword${password === "" ? ", which is empty" : ""}`,
  },
  {
    sign: /^DENIED/,
    refused: true,
    what: "is in protected mode",
    cure: () => "give it a password, or bind it to the network of the media workers",
  },
  {
    sign: /NOPERM|user executing the script|no permissions/i,
    refused: true,
    what: "does not allow this user what progress needs",
    cure: () => `allow it ${COMMANDS}`,
  },
  {
    sign: /unknown (?:redis )?command|command is disabled|not (?:supported|permitted)|unsupported command/i,
    refused: true,
    what: "lacks a command that progress needs",
    cure: () => `give it ${COMMANDS}`,
  },
  {
    sign: /READONLY|read only replica/,
    refused: true,
    what: "is a replica that takes no writes",
    cure: () => "give the address of its primary",
  },
  {
    sign: /\bOOM\b/,
    refused: true,
    what: "is full",
    cure: () => "give it more memory, or let it evict what is old (maxmemory-policy)",
  },
  {
    sign: /MISCONF|NOREPLICAS/,
    refused: true,
    what: "takes no writes now",
    cure: () => "mend what it names",
  },
  {
    sign: /\b(?:MOVED|ASK) [0-9]+|CROSSSLOT/,
    refused: true,
    what: "is one node of a cluster, and another node has this record",
    cure: () => "give a Redis that is no cluster, or a proxy that follows the cluster",
  },
  {
    sign: /CLUSTERDOWN/,
    refused: false,
    what: "is a node of a cluster that is down",
    cure: WAIT,
  },
  { sign: /LOADING/, refused: false, what: "is still loading its data", cure: WAIT },
  { sign: /MASTERDOWN|TRYAGAIN|\bBUSY\b/, refused: false, what: "cannot answer now", cure: WAIT },
  { sign: /max number of clients/i, refused: false, what: "has too many clients", cure: WAIT },
  {
    sign: /DB index|SELECT is not allowed/i,
    refused: true,
    what: "has no such database",
    cure: () => "check RedisDb",
  },
  {
    sign: /WRONGTYPE/,
    refused: true,
    what: "holds something else under the key of the record",
    cure: () => "delete that key",
  },
];

const REACH = () => "check RedisHost and RedisPort, and that the media workers of this region can reach it";
const NO_REDIS: Problem = {
  sign: /Protocol error|Parser|RESP type/i,
  refused: false,
  what: "does not speak Redis' protocol",
  cure: () => "check RedisHost and RedisPort",
};

const CONNECTIONS: readonly Problem[] = [
  { sign: /ECONNREFUSED/, refused: false, what: "refuses connections", cure: REACH },
  {
    sign: /WRONG_VERSION_NUMBER|PACKET_LENGTH|EPROTO|BAD_RECORD_TYPE|HTTP_REQUEST/,
    refused: true,
    what: "does not speak TLS",
    cure: () => "leave out RedisTls, or check RedisPort",
  },
  {
    sign: /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|ALERT_BAD_CERTIFICATE/,
    refused: true,
    what: "demands a certificate of the client",
    cure: () => "switch that off (tls-auth-clients no): media workers have none",
  },
  {
    sign: /CERT|ALTNAME|ISSUER|SELF_SIGNED|LEAF_SIGNATURE/,
    refused: true,
    what: "shows a certificate that is not trusted",
    cure: () =>
      "give RedisHost as the certificate names it, and let the media workers trust its authority (NODE_EXTRA_CA_CERTS)",
  },
  NO_REDIS,
  {
    sign: /ETIMEDOUT|timed? ?out/i,
    refused: false,
    what: "does not answer",
    cure: (target) => (target.tls ? `${REACH()}, and that it speaks TLS` : REACH()),
  },
];

/** The replies of a server that has no password although one was given. This is not treated as an error. */
const NEEDS_NO_PASSWORD = /no password is set|without any password configured/;

export function needsNoPassword(thrown: unknown): boolean {
  return thrown instanceof Error && NEEDS_NO_PASSWORD.test(thrown.message);
}

/**
 * Returns true if the server has become a replica, has left its cluster, or cannot answer. The name may then lead to
 * another server now.
 */
export function isElsewhere(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    /READONLY|read only replica|\bMOVED\b|CLUSTERDOWN|LOADING|MASTERDOWN|timed out/i.test(thrown.message)
  );
}

/** Converts any failure between this worker and a user's Redis into an error that the user can act on. Pure. */
export function redisError(thrown: unknown, target: RedisTarget): RoomcastError {
  const where = `Redis at ${target.host}:${target.port}`;
  if (thrown instanceof RoomcastError) {
    if (thrown.code.startsWith("FailedOperation.Redis")) return thrown;
    return failure(thrown.code === "FailedOperation.SourceForbidden", `${where} cannot be used: ${thrown.message}`, {
      cause: thrown,
    });
  }
  // ioredis attaches the command, and so the password, to its errors. Only the message is passed on.
  const said = thrown instanceof Error ? shownAnswer(thrown.message, target) : "";
  const cause = new Error(said);
  if (thrown instanceof ClosedUnanswered) {
    const cure = target.tls ? REACH() : `if it takes TLS alone, send "RedisTls": true; else ${REACH()}`;
    return failure(false, `${where} closed the connection without an answer: ${cure}.`, { cause });
  }
  if (thrown instanceof Error && thrown.name === "ReplyError") {
    const { refused, what, cure } = ANSWERS.find(({ sign }) => sign.test(thrown.message)) ?? {
      refused: true,
      what: "refused what progress needs",
      cure: () => `it must take ${COMMANDS}`,
    };
    return failure(refused, `${where} ${what}: ${cure(target)}. It says: ${said}`, { cause });
  }
  const system = `${codeOf(thrown)} ${said}`;
  const found = CONNECTIONS.find(({ sign }) => sign.test(system));
  if (found !== undefined) return failure(found.refused, `${where} ${found.what}: ${found.cure(target)}.`, { cause });
  return failure(false, `${where} cannot be reached: ${REACH()}.`, { cause });
}

function failure(refused: boolean, message: string, options: { readonly cause: unknown }): RoomcastError {
  return new RoomcastError(
    refused ? "FailedOperation.RedisRefused" : "FailedOperation.RedisUnreachable",
    message,
    options,
  );
}

function codeOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return typeof code === "string" ? code : "";
}

const MAX_ANSWER_LENGTH = 200;

/** Returns a server's error text without the script and arguments, which some servers repeat, and the password. */
function shownAnswer(message: string, { password }: RedisTarget): string {
  const words = message
    .replace(/,? with args beginning with:.*/s, "")
    .replace(/\.? ?script: [0-9a-f]{40}.*/s, "")
    .replace(/^ERR Error running script \(call to \w+\):(?: ?@user_script: ?\d+:)* ?-?/, "")
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
  return shownText(words, [password]).slice(0, MAX_ANSWER_LENGTH);
}
