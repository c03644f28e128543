import { RoomcastError, shownUrl } from "@roomcast/shared";

/**
 * Resolves an address in a playlist to an absolute http(s) URL, or returns null if the result is not such a URL. File
 * names with a colon (`12h:30.ts`) look like URLs with an unknown scheme; without `//` they are taken for relative
 * addresses.
 */
export function resolveReference(reference: string, baseUrl: string): string | null {
  const url = URL.parse(reference, baseUrl);
  if (url !== null && isHttp(url)) return url.href;
  if (/^[a-z][a-z0-9+.-]*:(?!\/\/)/i.test(reference)) {
    const named = URL.parse(`./${reference}`, baseUrl);
    if (named !== null && isHttp(named)) return named.href;
  }
  return null;
}

function isHttp(url: URL): boolean {
  return url.protocol === "http:" || url.protocol === "https:";
}

/**
 * Resolves an address in a playlist like `resolveReference`.
 *
 * @throws RoomcastError if the result is not an http(s) URL
 */
export function referencedAddress(reference: string, baseUrl: string): string {
  const url = resolveReference(reference, baseUrl);
  if (url !== null) return url;
  throw new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The HLS playlist contains an address that is not http(s): ${shownUrl(reference)}. Only http and https are supported.`,
  );
}
