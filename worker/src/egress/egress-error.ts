import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { errors } from "undici";

const NO_SUCH_HOST = new Set(["ENOTFOUND", "ENODATA", "EAI_NODATA", "EAI_NONAME"]);
const TIMED_OUT = new Set([
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "EAI_AGAIN",
]);
const CUT_OFF = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "UND_ERR_SOCKET", "UND_ERR_ABORTED"]);
const NO_ROUTE = new Set(["EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL", "EHOSTDOWN", "ENETDOWN"]);

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return "";
  // An AggregateError means that several addresses were tried one after another (net's autoSelectFamily) and all have failed.
  // The first of its errors is taken as the cause.
  if (thrown instanceof AggregateError) return codeOf(thrown.errors[0]);
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : codeOf(thrown.cause);
}

function isTls(code: string): boolean {
  return /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO|INVALID_CA|PATH_LENGTH)/.test(
    code,
  );
}

/** The end of the sentence about a certificate, for each of OpenSSL's verification errors by the name that Node gives it. */
const CERTIFICATE_PROBLEMS: readonly (readonly [RegExp, string])[] = [
  [
    /^UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)/,
    "does not come with its whole chain (an intermediate certificate is missing on the server), or is from an authority that is not known here",
  ],
  [/^(DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED)/, "is self-signed: it needs one from a public authority"],
  [/^CERT_HAS_EXPIRED/, "has expired"],
  [/^CERT_NOT_YET_VALID/, "is not valid yet"],
  [/^CERT_REVOKED/, "was revoked"],
  [/^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)/, "is for another host name"],
];

function tlsProblem(code: string, where: string): string {
  const problem = CERTIFICATE_PROBLEMS.find(([pattern]) => pattern.test(code))?.[1];
  if (problem !== undefined) return `The certificate of ${where} ${problem} (${code}).`;
  return `TLS with ${where} failed (${code}): is its certificate valid, and does this port speak https?`;
}

/**
 * Returns true if the error means that the connection was closed. For a request on a reused connection, this may only mean that
 * the server had closed the idle connection.
 */
export function isCutOff(thrown: unknown): boolean {
  return CUT_OFF.has(codeOf(thrown));
}

/** Returns true if undici's strict parser refused the answer. */
export function isParseError(thrown: unknown): boolean {
  return thrown instanceof errors.HTTPParserError;
}

function describe(code: string, where: string): [ErrorCode, string] {
  if (NO_SUCH_HOST.has(code)) return ["FailedOperation.SourceUnreachable", `The host ${where} does not exist (DNS).`];
  if (TIMED_OUT.has(code)) return ["FailedOperation.SourceTimeout", `${where} did not answer in time.`];
  if (code === "ECONNREFUSED") return ["FailedOperation.SourceUnreachable", `${where} refused the connection.`];
  if (CUT_OFF.has(code)) return ["FailedOperation.SourceUnreachable", `${where} closed the connection.`];
  if (NO_ROUTE.has(code)) return ["FailedOperation.SourceUnreachable", `There is no route to ${where}.`];
  if (isTls(code)) return ["FailedOperation.SourceUnreachable", tlsProblem(code, where)];
  const suffix = code === "" ? "" : ` (${code})`;
  return ["FailedOperation.SourceUnreachable", `The connection to ${where} failed${suffix}.`];
}

/**
 * Converts an error of a socket or of undici into an error that may be shown. Pure.
 *
 * @param where the host, with its port where that matters; never a URL.
 */
export function egressError(thrown: unknown, where: string): RoomcastError {
  if (thrown instanceof RoomcastError) return thrown;
  if (thrown instanceof Error && thrown.cause instanceof RoomcastError) return thrown.cause;
  const [code, message] = describe(codeOf(thrown), where);
  return new RoomcastError(code, message, { cause: thrown });
}
