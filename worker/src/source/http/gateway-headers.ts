import type http from "node:http";
import type { HttpAnswer } from "./http-client.ts";

/** The user that the gateway's proxy address names; its password is the session's token. */
export const PROXY_USER = "source";

export interface GatewayRange {
  readonly start: number;
  readonly end: number | undefined;
}

/** The part that a reader asks for, where it asks for one: ffmpeg always begins with `bytes=0-`. */
export function readRange(request: http.IncomingMessage): GatewayRange | undefined {
  const range = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(request.headers.range ?? "");
  if (range === null) return undefined;
  return { start: Number(range[1]), end: range[2] === undefined ? undefined : Number(range[2]) };
}

/** The head of an answer to a reader. A source whose parts cannot be asked for is sent as a whole, and says so. */
export function answerHead(
  { contentType, totalBytes, seekable }: Omit<HttpAnswer, "body">,
  range: GatewayRange | undefined,
): { readonly status: 200 | 206 | 416; readonly headers: http.OutgoingHttpHeaders } {
  const headers: http.OutgoingHttpHeaders = { "accept-ranges": seekable ? "bytes" : "none" };
  if (contentType !== undefined) headers["content-type"] = contentType;
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

/** The password of `Proxy-Authorization: Basic …` (RFC 7617) where it is from the gateway's own user. */
export function proxyPassword(request: http.IncomingMessage): string | undefined {
  const encoded = /^Basic (\S+)$/i.exec(request.headers["proxy-authorization"] ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, "base64").toString("latin1");
  return pair.startsWith(`${PROXY_USER}:`) ? pair.slice(PROXY_USER.length + 1) : undefined;
}
