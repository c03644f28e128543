import { exports } from "cloudflare:workers";
import { canonicalRequest, tc3Signature } from "../src/doors/tencent/tc3-signature.ts";
import { SCHOOL } from "./fixtures.test-support.ts";

const VERSIONS = { scf: "2018-04-16", trtc: "2019-07-22" } as const;

export interface SignedCallOptions {
  readonly service?: "scf" | "trtc";
  /** `<SecretId>.<SecretKey>`. */
  readonly as?: string;
  readonly method?: "GET" | "POST";
  /** The query of a GET, exactly as it is sent. */
  readonly query?: string;
  readonly body?: string;
  readonly host?: string;
  /** The host that the client signs. */
  readonly signedHost?: string;
  /** The service in the credential scope. */
  readonly scope?: string;
  readonly timestampS?: number;
  readonly date?: string;
  /** The text that the client signs as its body. */
  readonly signedPayload?: string;
  /** Headers that are signed in addition to content-type and host. */
  readonly signedHeaders?: readonly (readonly [name: string, value: string])[];
  /** Headers that are sent regardless of what is signed; a header that is null is left out. */
  readonly headers?: Readonly<Record<string, string | null>>;
}

/** Returns a signed request as a client of Tencent Cloud API 3.0 makes it. */
export async function signedRequest(action: string, options: SignedCallOptions = {}): Promise<Request> {
  const { service = "scf", as = SCHOOL, method = "POST", query = "", host = "edge" } = options;
  const [secretId = "", secretKey = ""] = as.split(".");
  const timestamp = String(options.timestampS ?? Math.floor(Date.now() / 1000));
  const date = options.date ?? new Date(Number(timestamp) * 1000).toISOString().slice(0, 10);
  const scope = options.scope ?? service;
  const type = method === "GET" ? "application/x-www-form-urlencoded" : "application/json";
  const body = options.body ?? "{}";
  const signed = [
    ["content-type", type],
    ["host", options.signedHost ?? host],
    ...(options.signedHeaders ?? []),
  ] as const;
  const payload = options.signedPayload ?? (method === "GET" ? "" : body);
  const canonical = await canonicalRequest({ method, query, headers: signed, payload });
  const signature = await tc3Signature({ secretKey, date, service: scope, timestamp, canonicalRequest: canonical });
  const hex = Array.from(new Uint8Array(signature), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const names = signed.map(([name]) => name).join(";");
  const headers = new Headers({
    Host: host,
    "Content-Type": type,
    "X-TC-Action": action,
    "X-TC-Version": VERSIONS[service],
    "X-TC-Timestamp": timestamp,
    Authorization: `TC3-HMAC-SHA256 Credential=${secretId}/${date}/${scope}/tc3_request, SignedHeaders=${names}, Signature=${hex}`,
  });
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  const url = `http://${host}/${query === "" ? "" : `?${query}`}`;
  return new Request(url, { method, headers, ...(method === "GET" ? {} : { body }) });
}

export interface TencentAnswer {
  readonly RequestId: string;
  readonly Error?: { readonly Code: string; readonly Message: string };
  readonly [name: string]: unknown;
}

/** Returns the `Response` of an answer. Throws if the answer is not HTTP 200, which it is even for errors. */
export async function contentOf(response: Response): Promise<TencentAnswer> {
  const { Response: content } = await response.json<{ Response: TencentAnswer }>();
  if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
  return content;
}

/** Sends a signed call to the Worker and returns its `Response`. */
export async function callTencent(
  action: string,
  parameters: object = {},
  options: SignedCallOptions = {},
): Promise<TencentAnswer> {
  const request = await signedRequest(action, { body: JSON.stringify(parameters), ...options });
  return contentOf(await exports.default.fetch(request));
}
