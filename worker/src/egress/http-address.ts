import { RoomcastError, shownUrl } from "@roomcast/shared";

/** An http or https URL whose path and query are kept byte by byte as they were written. */
export interface HttpAddress {
  /** The whole URL. It holds secrets: show it only through `shownUrl`. */
  readonly href: string;
  readonly origin: string;
  /** The host, with its port if that is not the scheme's default. */
  readonly host: string;
  readonly hostname: string;
  readonly port: number;
  readonly tls: boolean;
  /** The path and query for the request line (RFC 9112, section 3.2.1). */
  readonly path: string;
  /** The URL's user and password as a Basic `Authorization`. */
  readonly authorization: string | undefined;
}

/**
 * Reads a URL without changing its path and query. The WHATWG parser would resolve `%2E%2E`, drop an empty query and encode
 * some characters, which would invalidate a signature over the URL that the user wrote. Only characters that a request line
 * must not contain are percent-encoded: spaces, control characters, double quotation marks, angle brackets and all non-ASCII
 * characters.
 *
 * @returns null if the string is not an http or https URL
 */
export function parseHttpAddress(text: string): HttpAddress | null {
  const written = withoutBlanksAround(text).replaceAll(/[\t\r\n]/g, "");
  const url = URL.parse(written);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return null;
  const rest = /^https?:[/\\]*[^/\\?#]*([^#]*)/i.exec(written)?.[1] ?? "";
  const tls = url.protocol === "https:";
  return {
    href: written,
    origin: url.origin,
    host: url.host,
    hostname: url.hostname,
    port: url.port === "" ? (tls ? 443 : 80) : Number(url.port),
    tls,
    path: rest.startsWith("/") ? encoded(rest) : `/${encoded(rest.replace(/^\\/, ""))}`,
    authorization: basicAuthorization(url),
  };
}

/**
 * Returns the absolute URL of a reference found at `base` (RFC 3986, section 5.2): in a `Location` header or in a
 * playlist. Nothing is decoded or encoded, and only the dot segments of a relative path are resolved.
 *
 * @returns null if the reference does not lead to an http or https URL
 */
export function resolveReference(reference: string, base: string): string | null {
  const text = withoutBlanksAround(reference).replaceAll(/[\t\r\n]/g, "");
  const absolute = /^[a-z][a-z0-9+.-]*:/i.test(text) ? text : resolveRelative(text, base);
  return absolute !== null && URL.canParse(absolute) ? absolute : null;
}

/**
 * Reads a URL as `parseHttpAddress` does.
 *
 * @throws RoomcastError if `url` is not an http or https URL
 */
export function httpAddress(url: string): HttpAddress {
  const address = parseHttpAddress(url);
  if (address !== null) return address;
  throw new RoomcastError("FailedOperation.SourceForbidden", "Only http and https addresses can be fetched.");
}

/**
 * Returns the address that a redirect leads to.
 *
 * @param location as undici returns it, with one character for each byte. A server may send raw UTF-8, whose bytes are
 * percent-encoded here.
 * @throws RoomcastError if the target is not an http or https URL
 */
export function redirectedAddress(from: HttpAddress, location: string): HttpAddress {
  const escaped = location.replaceAll(
    /[\x80-\xff]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
  const url = resolveReference(escaped, from.href);
  const address = url === null ? null : parseHttpAddress(url);
  if (address !== null) return address;
  const scheme = /^[a-z][a-z0-9+.-]{0,15}:/i.exec(location)?.[0];
  throw new RoomcastError(
    "FailedOperation.SourceForbidden",
    scheme === undefined
      ? `${shownUrl(from.href)} redirects to something that is not an http or https address.`
      : `${shownUrl(from.href)} redirects to an address that begins with "${scheme}", which is not an http or https address.`,
  );
}

function resolveRelative(text: string, base: string): string | null {
  const parts = /^([a-z][a-z0-9+.-]*:)[/\\]*([^/\\?#]*)([^?#]*)(\?[^#]*)?/i.exec(withoutBlanksAround(base));
  if (parts === null) return null;
  const [, scheme = "", authority = "", basePath = "", baseQuery = ""] = parts;
  if (text.startsWith("//")) return `${scheme}${text}`;
  const origin = `${scheme}//${authority}`;
  const mark = text.search(/[?#]/);
  const path = mark === -1 ? text : text.slice(0, mark);
  const suffix = mark === -1 ? "" : text.slice(mark);
  if (path === "") return `${origin}${basePath}${suffix.startsWith("?") ? suffix : `${baseQuery}${suffix}`}`;
  if (path.startsWith("/")) return `${origin}${path}${suffix}`;
  const folder = basePath.slice(0, basePath.lastIndexOf("/") + 1);
  return `${origin}${withoutDotSegments(`${folder === "" ? "/" : folder}${path}`)}${suffix}`;
}

function withoutDotSegments(path: string): string {
  const segments = path.split("/");
  const last = segments.at(-1);
  const kept: string[] = [];
  for (const segment of segments) {
    // The first segment is empty: it stands for the leading slash, and is never removed.
    if (segment === ".." && kept.length > 1) kept.pop();
    else if (segment !== "." && segment !== "..") kept.push(segment);
  }
  if (last === "." || last === "..") kept.push("");
  return kept.join("/");
}

function encoded(path: string): string {
  return path.toWellFormed().replaceAll(/[^\x21-\x7e]|["<>]/gu, (mark) => encodeURIComponent(mark));
}

function basicAuthorization(url: URL): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  const pair = Buffer.concat([decoded(url.username), Buffer.from(":"), decoded(url.password)]);
  return `Basic ${pair.toString("base64")}`;
}

/** Decodes percent-encoding. A `%` that does not begin an escape is kept, as in browsers and curl. */
function decoded(text: string): Buffer {
  const binary = text.replaceAll(/%([0-9a-f]{2})/gi, (_escape, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(binary, "latin1");
}

/**
 * Removes spaces and control characters from both ends. A loop is used because a regular expression can take more than linear
 * time.
 */
function withoutBlanksAround(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && text.charCodeAt(from) <= 0x20) from += 1;
  while (to > from && text.charCodeAt(to - 1) <= 0x20) to -= 1;
  return text.slice(from, to);
}
