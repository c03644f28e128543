import { exports } from "cloudflare:workers";
import { canonicalRequest, tc3Signature } from "../src/doors/tencent/tc3-signature.ts";
import { SCHOOL } from "./fixtures.test-support.ts";

const VERSIONS = { scf: "2018-04-16", trtc: "2019-07-22" } as const;

export interface SignedCallOptions {
  readonly service?: "scf" | "trtc";
  /** `<SecretId>.<SecretKey>`. */
  readonly as?: string;
  readonly method?: "GET" | "POST";
  /** Of a GET, as it goes over the wire. */
  readonly query?: string;
  readonly body?: string;
  readonly host?: string;
  /** What the client takes for its host when it signs. */
  readonly signedHost?: string;
  /** The service in the credential scope. */
  readonly scope?: string;
  readonly timestampS?: number;
  readonly date?: string;
  /** What the client signs for its body. */
  readonly signedPayload?: string;
  /** Beside content-type and host. */
  readonly signedHeaders?: readonly (readonly [name: string, value: string])[];
  /** Sent, whatever is signed; null: left out. */
  readonly headers?: Readonly<Record<string, string | null>>;
}

/** A signed request as a client of Tencent Cloud API 3.0 makes it. */
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

/** The `Response` of an answer, which is HTTP 200 whatever became of the call. */
export async function contentOf(response: Response): Promise<TencentAnswer> {
  const { Response: content } = await response.json<{ Response: TencentAnswer }>();
  if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
  return content;
}

/** Makes a signed call of the Worker. */
export async function callTencent(
  action: string,
  parameters: object = {},
  options: SignedCallOptions = {},
): Promise<TencentAnswer> {
  const request = await signedRequest(action, { body: JSON.stringify(parameters), ...options });
  return contentOf(await exports.default.fetch(request));
}
