import type http from "node:http";
import type { HttpAnswer } from "./http-client.ts";

/** The user name in the gateway's proxy address. The password is the session's token. */
export const PROXY_USER = "source";

export interface GatewayRange {
  readonly start: number;
  readonly end: number | undefined;
}

/** Returns the range that a reader asks for, or undefined if it asks for none. ffmpeg always begins with `bytes=0-`. */
export function readRange(request: http.IncomingMessage): GatewayRange | undefined {
  const range = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(request.headers.range ?? "");
  if (range === null) return undefined;
  return { start: Number(range[1]), end: range[2] === undefined ? undefined : Number(range[2]) };
}

/** Matches a header value that Node.js sends. Node.js refuses other characters, such as control characters. */
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]+$/;

/**
 * Builds the head of the response to a reader. A source without ranges is sent as a whole, with status 200 and
 * `Accept-Ranges: none`.
 */
export function answerHead(
  { contentType, totalBytes, seekable }: Omit<HttpAnswer, "body">,
  range: GatewayRange | undefined,
): { readonly status: 200 | 206 | 416; readonly headers: http.OutgoingHttpHeaders } {
  const headers: http.OutgoingHttpHeaders = { "accept-ranges": seekable ? "bytes" : "none" };
  if (contentType !== undefined && HEADER_TEXT.test(contentType)) headers["content-type"] = contentType;
  const start = range?.start ?? 0;
  if (totalBytes !== null && start > 0 && start >= totalBytes) {
    return { status: 416, headers: { ...headers, "content-range": `bytes */${totalBytes}` } };
  }
  const last = Math.min(range?.end ?? Number.POSITIVE_INFINITY, (totalBytes ?? Number.POSITIVE_INFINITY) - 1);
  const sized = Number.isFinite(last);
  if (sized) headers["content-length"] = Math.max(0, last + 1 - start);
  if (range === undefined || !sized || !(seekable || start > 0)) return { status: 200, headers };
  return { status: 206, headers: { ...headers, "content-range": `bytes ${start}-${last}/${totalBytes ?? "*"}` } };
}

/**
 * Returns the password of `Proxy-Authorization: Basic …` (RFC 7617), or undefined if the user is not the gateway's own.
 */
export function proxyPassword(request: http.IncomingMessage): string | undefined {
  const encoded = /^Basic (\S+)$/i.exec(request.headers["proxy-authorization"] ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, "base64").toString("latin1");
  return pair.startsWith(`${PROXY_USER}:`) ? pair.slice(PROXY_USER.length + 1) : undefined;
}
