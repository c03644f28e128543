import type { PushRequest } from "./push-request.ts";

/**
 * The one place that decides what may be shown. Whatever leaves the process as text (a log line, an error, an API
 * answer, a child's stderr) passes through here when it may hold a secret.
 */
export const REDACTED = "[redacted]";

/** Fields of a request that are never shown. */
export const SECRET_FIELDS = ["UserSig", "RedisPassword", "PrivateMapKey"] as const;

/** A URL without its user, password, query, fragment and, for RTMP, its stream key (the last path segment). */
export function shownUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) return REDACTED;
  const live = url.protocol === "rtmp:" || url.protocol === "rtmps:";
  const path = live ? url.pathname.replace(/[^/]+$/, "…") : url.pathname;
  const query = url.search === "" ? "" : "?…";
  return `${url.protocol}//${url.host}${path}${query}`;
}

/** A request as the API and the log show it. */
export type ShownRequest = Omit<PushRequest, (typeof SECRET_FIELDS)[number]>;

export function shownRequest(request: PushRequest): ShownRequest {
  const { UserSig: _userSig, RedisPassword: _redisPassword, ...rest } = request;
  return { ...rest, VideoSrc: shownUrl(rest.VideoSrc) };
}

const URL_IN_TEXT = /\b[a-z][a-z0-9+.-]*:\/\/[^\s'"<>]+/gi;
const USERSIG_IN_TEXT =
  /(user_?sig|password|secret(?:_?key)?|token|signature|authorization)(["']?\s*[=:]\s*["']?)[^\s&"',;]+/gi;

/**
 * Foreign text (ffmpeg's stderr, a server's refusal) made fit to show: URLs lose what `shownUrl` hides, assignments of
 * secrets lose their value, and every given secret is cut out wherever it stands.
 */
export function shownText(text: string, secrets: readonly string[] = []): string {
  let shown = text;
  for (const secret of secrets) {
    // Below four characters a "secret" would blank ordinary words.
    if (secret.length >= 4) shown = shown.replaceAll(secret, REDACTED);
  }
  return shown
    .replace(URL_IN_TEXT, (url) => shownUrl(url))
    .replace(USERSIG_IN_TEXT, (_match, name: string, equals: string) => `${name}${equals}${REDACTED}`);
}

/** The texts of a request that `shownText` must cut out. */
export function secretsOf(request: PushRequest): string[] {
  const url = URL.parse(request.VideoSrc);
  const candidates = [
    request.UserSig,
    request.RedisPassword,
    url?.password,
    url?.search.slice(1),
    ...(url === null ? [] : [...url.searchParams.values()]),
  ];
  return candidates.filter((value): value is string => value !== undefined && value !== "");
}
