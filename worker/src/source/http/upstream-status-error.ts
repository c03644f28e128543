import { type ErrorCode, RoomcastError, shownUrl } from "@roomcast/shared";

/** Reports that a source's server answered with an error status. */
export class UpstreamStatusError extends RoomcastError {
  readonly status: number;
  /** The wait that the server asks for (`Retry-After`), ms, or undefined if it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(answer: RefusedAnswer) {
    const [code, message] = describe(answer);
    super(code, message);
    this.status = answer.status;
    this.retryAfterMs = answer.retryAfterMs;
  }

  /** True if the server says that it is overloaded. Other statuses may be a permanent fault. */
  get busy(): boolean {
    return this.status === 429 || this.status === 503;
  }

  /** True if a later request may succeed. */
  get passing(): boolean {
    return this.busy || this.status >= 500 || this.status === 408 || this.status === 425;
  }
}

export interface RefusedAnswer {
  readonly status: number;
  readonly url: string;
  readonly retryAfterMs?: number | undefined;
  /** True if the same URL could be read before. */
  readonly heldBefore?: boolean;
}

/** Explains an HTTP status of a source's server to the user. Pure. */
function describe({ status, url, retryAfterMs, heldBefore = false }: RefusedAnswer): [ErrorCode, string] {
  const what = `${shownUrl(url)} answers with HTTP status ${status}`;
  if (status === 404 || status === 410) {
    const why = heldBefore
      ? "it could be read before and is gone now."
      : "there is no such file. Check the address, VideoSrc.";
    return ["FailedOperation.SourceNotFound", `${what}: ${why}`];
  }
  if (status === 401 || status === 403 || status === 407 || status === 451) {
    const why = heldBefore
      ? "it could be read before, so its signature or session has expired. Give an address that stays valid as long as the push lasts."
      : "access is refused. Check that VideoSrc is public, or that its signature or password is correct and has not expired.";
    return ["FailedOperation.SourceForbidden", `${what}: ${why}`];
  }
  if (status === 408 || status === 504) return ["FailedOperation.SourceTimeout", `${what}: it was not ready in time.`];
  if (status === 429 || status >= 500) {
    const retryAfter =
      retryAfterMs === undefined ? "" : ` It asks for a wait of ${Math.ceil(retryAfterMs / 1000)} s (Retry-After).`;
    return [
      "FailedOperation.SourceUnreachable",
      `${what}: its server may be overloaded; try again later.${retryAfter}`,
    ];
  }
  if (status >= 300 && status < 400) {
    return ["FailedOperation.SourceUnreachable", `${what}, a redirect without a usable target.`];
  }
  return ["FailedOperation.SourceUnreachable", `${what} instead of the file.`];
}

/**
 * Parses `Retry-After`, which holds seconds or an HTTP date (RFC 9110, section 10.2.3), into milliseconds. Pure.
 *
 * @param nowMs the wall clock, ms since 1970
 * @returns undefined if the header is missing or cannot be parsed
 */
export function readRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d{1,9}(\.\d*)?$/.test(text)) return Number(text) * 1000;
  const at = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
