import type http from "node:http";
import type { EgressResponse } from "./egress.ts";

/** No `content-encoding`: what came compressed would not be seen to be a playlist here, but might be in ffmpeg. */
const PASSED_HEADERS = ["content-type", "content-length", "content-range", "accept-ranges", "last-modified"];
const USER_AGENT = "Roomcast/0.1";
/** The user that the gateway's proxy address names; its password is the session's token. */
export const PROXY_USER = "source";

/** What of a request to the gateway is asked upstream. */
export function upstreamHeaders(request: http.IncomingMessage): Record<string, string> {
  const { range } = request.headers;
  return {
    accept: "*/*",
    "accept-encoding": "identity",
    "user-agent": USER_AGENT,
    ...(range === undefined ? {} : { range }),
  };
}

/** What of an answer upstream is passed on. */
export function passedHeaders(upstream: EgressResponse): Record<string, string> {
  return Object.fromEntries(
    PASSED_HEADERS.flatMap((name) => {
      const value = upstream.headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}

/** In lower case, without parameters. */
export function contentTypeOf(upstream: EgressResponse): string | undefined {
  const value = upstream.headers["content-type"];
  return typeof value === "string" ? value.split(";")[0]?.trim().toLowerCase() : undefined;
}

/** The password of `Proxy-Authorization: Basic …` (RFC 7617) where it is from the gateway's own user. */
export function proxyPassword(request: http.IncomingMessage): string | undefined {
  const encoded = /^Basic (\S+)$/i.exec(request.headers["proxy-authorization"] ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, "base64").toString("latin1");
  return pair.startsWith(`${PROXY_USER}:`) ? pair.slice(PROXY_USER.length + 1) : undefined;
}
