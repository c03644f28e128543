import type { Readable } from "node:stream";
import { RoomcastError, shownUrl } from "@roomcast/shared";
import { type HttpAddress, httpAddress, redirectedAddress } from "./http-address.ts";

const MAX_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

type Headers = Readonly<Record<string, string>>;

/** The parts of an answer that are needed to follow a redirect. */
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
}

export interface RedirectedRequest<A extends Answer> {
  readonly url: string;
  readonly headers: Headers;
  /** False if a redirect is returned as the answer, because the request must not be repeated. */
  readonly follows: boolean;
  /** Makes one request. The function must judge the address, so that the target of each redirect is judged too. */
  readonly request: (target: HttpAddress, headers: Headers) => Promise<A>;
}

/**
 * Makes a request and follows up to 10 redirects. A user and password in the URL become a Basic `Authorization`, which is sent
 * to no other origin.
 *
 * @throws RoomcastError `FailedOperation.SourceUnreachable` if there are more than 10 redirects, and everything that `request`
 * throws
 */
export async function followRedirects<A extends Answer>(options: RedirectedRequest<A>): Promise<A> {
  const { url, follows, request } = options;
  let target = httpAddress(url);
  let headers = options.headers;
  for (let redirects = 0; ; redirects += 1) {
    const response = await request(target, headers);
    const location = [response.headers["location"]].flat()[0];
    if (!follows || !REDIRECTS.has(response.status) || location === undefined) return response;
    response.body.once("error", () => {}).destroy();
    if (redirects === MAX_REDIRECTS) {
      throw new RoomcastError(
        "FailedOperation.SourceUnreachable",
        `${shownUrl(url)} redirects more than ${MAX_REDIRECTS} times.`,
      );
    }
    const next = redirectedAddress(target, location);
    if (next.origin !== target.origin) headers = withoutCredentials(headers);
    else if (target.authorization !== undefined) headers = { authorization: target.authorization, ...headers };
    target = next;
  }
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !["authorization", "cookie"].includes(name.toLowerCase())),
  );
}
