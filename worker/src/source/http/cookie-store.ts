import { CookieJar } from "tough-cookie";
import type { RequestCookies } from "../../egress/egress.ts";

/**
 * The most `Set-Cookie` headers of a source that are stored. A hostile server could set new names with every response,
 * and tough-cookie has no limit.
 */
const MAX_SET_COOKIES = 500;
const MAX_COOKIE_CHARACTERS = 4096;

/** The cookies of one source. Each cookie is sent only to the host or domain that set it (RFC 6265). */
export class CookieStore implements RequestCookies {
  readonly #jar = new CookieJar(undefined, { looseMode: true, rejectPublicSuffixes: true });
  #stored = 0;

  header(url: string): string | undefined {
    const header = this.#jar.getCookieStringSync(withoutFragment(url));
    return header === "" ? undefined : header;
  }

  store(url: string, setCookies: readonly string[]): void {
    for (const setCookie of setCookies) {
      if (setCookie.length > MAX_COOKIE_CHARACTERS || this.#stored >= MAX_SET_COOKIES) continue;
      this.#stored += 1;
      this.#jar.setCookieSync(setCookie, withoutFragment(url), { ignoreError: true });
    }
  }
}

function withoutFragment(url: string): string {
  return url.split("#")[0] ?? url;
}
