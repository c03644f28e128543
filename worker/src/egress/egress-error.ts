import { type ErrorCode, RoomcastError } from "@roomcast/shared";

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
  // Several addresses were tried in turn (net's autoSelectFamily): they fail together, and the first says why.
  if (thrown instanceof AggregateError) return codeOf(thrown.errors[0]);
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : codeOf(thrown.cause);
}

function isTls(code: string): boolean {
  return /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/.test(code);
}

function describe(code: string, where: string): [ErrorCode, string] {
  if (NO_SUCH_HOST.has(code)) return ["FailedOperation.SourceUnreachable", `The host ${where} does not exist (DNS).`];
  if (TIMED_OUT.has(code)) return ["FailedOperation.SourceTimeout", `${where} did not answer in time.`];
  if (code === "ECONNREFUSED") return ["FailedOperation.SourceUnreachable", `${where} refused the connection.`];
  if (CUT_OFF.has(code)) return ["FailedOperation.SourceUnreachable", `${where} closed the connection.`];
  if (NO_ROUTE.has(code)) return ["FailedOperation.SourceUnreachable", `There is no route to ${where}.`];
  if (isTls(code)) {
    return ["FailedOperation.SourceUnreachable", `TLS with ${where} failed (${code}): is its certificate valid?`];
  }
  const suffix = code === "" ? "" : ` (${code})`;
  return ["FailedOperation.SourceUnreachable", `The connection to ${where} failed${suffix}.`];
}

/**
 * What a socket or undici threw, as an error fit to show. Pure.
 *
 * @param where the host, with its port where that matters; never a URL.
 */
export function egressError(thrown: unknown, where: string): RoomcastError {
  if (thrown instanceof RoomcastError) return thrown;
  if (thrown instanceof Error && thrown.cause instanceof RoomcastError) return thrown.cause;
  const [code, message] = describe(codeOf(thrown), where);
  return new RoomcastError(code, message, { cause: thrown });
}
