import { printable } from "./printable.ts";
import type { PushRequest } from "./push-request.ts";

/**
 * The only module that decides what may be shown. Any text that leaves the process and may hold a secret (a log line,
 * an error, an API answer, a child's stderr) passes through here.
 */
export const REDACTED = "[redacted]";

/** Fields of a request that are never shown. */
export const SECRET_FIELDS = ["UserSig", "RedisPassword", "PrivateMapKey", "CallbackKey"] as const;

const CUT = "…";

/**
 * Returns a URL without its user, password, query and fragment and, for RTMP, without everything after the app's name
 * (the stream key). A text that is not a URL with a host is not shown at all. Idempotent.
 */
export function shownUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || (url.host === "" && url.protocol !== "file:")) return REDACTED;
  const query = url.search === "" ? "" : `?${CUT}`;
  return `${url.protocol}//${url.host}${shownPath(url)}${query}`;
}

/** Returns only the origin of a webhook's URL: in most webhooks the path is the secret. Idempotent. */
export function shownOrigin(text: string): string {
  const origin = URL.parse(text)?.origin ?? "null";
  return origin === "null" ? REDACTED : origin;
}

function shownPath(url: URL): string {
  // The parser escapes the mark that an earlier call has left.
  const path = url.pathname.replaceAll(encodeURIComponent(CUT), CUT);
  if (isRtmp(url)) {
    const [app = "", ...streamKey] = path.split("/").filter((segment) => segment !== "");
    if (streamKey.length > 0) return `/${app}/${CUT}`;
    return app === "" ? path : `/${CUT}`;
  }
  // A URL inside the path may contain a user and a password too.
  const nested = path.indexOf("://");
  return nested === -1 ? path : `${path.slice(0, path.lastIndexOf("/", nested - 1) + 1)}${CUT}`;
}

function isRtmp(url: URL): boolean {
  return url.protocol === "rtmp:" || url.protocol === "rtmps:";
}

/** Returns a request as the API and the log show it. */
export type ShownRequest = Omit<PushRequest, (typeof SECRET_FIELDS)[number]>;

export function shownRequest(request: PushRequest): ShownRequest {
  const shown = Object.entries(request).filter(([name]) => !SECRET_FIELDS.some((secret) => secret === name));
  const { VideoSrc, Preload, CallbackUrl } = request;
  return {
    // SAFETY: only the fields that the type omits were left out; those with URLs keep their shape below.
    ...(Object.fromEntries(shown) as ShownRequest),
    VideoSrc: typeof VideoSrc === "string" ? shownUrl(VideoSrc) : VideoSrc.map(shownUrl),
    ...(Preload === undefined ? {} : { Preload: Preload.map(shownUrl) }),
    ...(CallbackUrl === undefined ? {} : { CallbackUrl: shownOrigin(CallbackUrl) }),
  };
}

const WORD_IN_TEXT = /[^\s'"<>`]+/g;
/** The longest URL scheme that is searched for in prose. */
const MAX_SCHEME_LENGTH = 32;

/**
 * Finds the URL in a piece of prose without blanks, if any: `[tcp://h:1` is `[` and a URL; `https://h/x:` is a URL and
 * `:`.
 */
function shownWord(word: string): string {
  const colon = word.indexOf("://");
  if (colon === -1) return word;
  const scheme = /[a-z][a-z0-9+.-]*$/i.exec(word.slice(Math.max(0, colon - MAX_SCHEME_LENGTH), colon))?.[0] ?? "";
  const start = colon - scheme.length;
  const punctuation = /(?<![:.,;)}])[:.,;)}]{1,8}$/.exec(word)?.[0] ?? "";
  const url = word.slice(start, word.length - punctuation.length);
  return `${word.slice(0, start)}${shownUrl(url)}${punctuation}`;
}

const SECRET_NAME = String.raw`(?:user[_-]?sig|pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|token|signature|private[_-]?map[_-]?key|stream[_-]?key|api[_-]?key)`;

/** `Authorization: Bearer x.y`, `Cookie: a=b; c=d`: the whole rest of the header, whatever its scheme. */
const HEADER_IN_TEXT = /((?:authorization|cookie)\\{0,4}["']?\s{0,8}[=:]\s{0,8})(?!\s|\\{0,4}["'])[^\r\n"'\\]+/gi;

/** `name=value`, `name: value`, `"name":"value"` and the same inside a JSON text that is itself a JSON string. */
const ASSIGNMENT_IN_TEXT = new RegExp(
  String.raw`((?:${SECRET_NAME}|authorization|cookie)\\{0,4}["']?\s{0,8}[=:]\s{0,8})` +
    String.raw`(?:(\\{1,4}["'])[^"'\\]*|(")(?:[^"\\]|\\.)*|(')(?:[^'\\]|\\.)*|[^\s&"',;}\\]+)`,
  "gis",
);

const BEARER_IN_TEXT = /\b(bearer\s{1,8})[a-z0-9._~+/=*-]{8,}/gi;

/**
 * Makes foreign text (ffmpeg's stderr, a server's refusal) fit to show. URLs lose what `shownUrl` hides, and
 * assignments of secrets lose their values. Every given secret of at least four characters is removed wherever it
 * occurs, plain or escaped. What remains is made printable; line feeds stay. Idempotent, and linear in the text's
 * length. Redact before you shorten a text: half a secret is not found.
 */
export function shownText(text: string, secrets: readonly string[] = []): string {
  // Secrets and URLs may have unprintable characters themselves, so those are looked for first.
  return printable(cutOut(text, secrets).replace(WORD_IN_TEXT, shownWord))
    .replace(HEADER_IN_TEXT, `$1${REDACTED}`)
    .replace(ASSIGNMENT_IN_TEXT, (_match, name: string, escaped = "", double = "", single = "") => {
      return `${name}${escaped}${double}${single}${REDACTED}`;
    })
    .replace(BEARER_IN_TEXT, `$1${REDACTED}`);
}

/** A shorter "secret" would blank ordinary words. */
const MIN_SECRET_LENGTH = 4;

function cutOut(text: string, secrets: readonly string[]): string {
  const forms = [...new Set(secrets.flatMap(formsOf))]
    .filter((form) => form.length >= MIN_SECRET_LENGTH && !REDACTED.includes(form))
    // The longest come first: if a secret is a part of another one, the rest of the longer one must not remain.
    .toSorted((a, b) => b.length - a.length);
  if (forms.length === 0) return text;
  return text.replace(new RegExp(forms.map(escapeForRegExp).join("|"), "g"), REDACTED);
}

/** Returns a secret in its plain form and in the forms that URLs, forms and JSON write. */
function formsOf(secret: string): string[] {
  const wellFormed = secret.toWellFormed();
  const component = encodeURIComponent(wellFormed);
  const strict = component.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  const upper = [
    component,
    strict,
    component.replaceAll("%20", "+"),
    strict.replaceAll("%20", "+"),
    encodeURI(wellFormed),
  ];
  const lower = upper.map((form) => form.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()));
  return [secret, JSON.stringify(secret).slice(1, -1), ...upper, ...lower];
}

function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

/** A stream's name this short ("live", "stream") is a word that must stay readable, not a key. */
const MIN_STREAM_KEY_LENGTH = 8;

/** Returns the texts of a request, or of a change of one, that `shownText` must remove. */
export function secretsOf(request: Partial<PushRequest>): string[] {
  const named = Object.entries(request).flatMap(([name, value]) =>
    SECRET_FIELDS.some((secret) => secret === name) && typeof value === "string" ? [value] : [],
  );
  const urls = [request.VideoSrc ?? [], request.Preload ?? [], request.CallbackUrl ?? []].flat();
  const written = [...named, ...urls.flatMap(secretsInUrl)];
  return [...new Set(written.flatMap((text) => [text, decoded(text)]))].filter((text) => text !== "");
}

function secretsInUrl(text: string): string[] {
  const url = URL.parse(text);
  if (url === null) return [];
  const streamKey = isRtmp(url) ? (url.pathname.split("/").findLast((segment) => segment !== "") ?? "") : "";
  return [
    url.username,
    url.password,
    url.search.slice(1),
    ...url.search
      .slice(1)
      .split("&")
      .map((pair) => pair.slice(pair.indexOf("=") + 1)),
    url.hash.slice(1),
    streamKey.length >= MIN_STREAM_KEY_LENGTH ? streamKey : "",
  ];
}

/** Decodes percent-encoding; a text that is not properly encoded stays unchanged. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
