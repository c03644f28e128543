/**
 * Tencent Cloud API 3.0, signature version 3 (TC3-HMAC-SHA256).
 * https://www.tencentcloud.com/document/api/213/33224
 */
const ALGORITHM = "TC3-HMAC-SHA256";
/** The string that ends the credential scope and from which the signing key is derived last. */
const TERMINATOR = "tc3_request";

const encoder = new TextEncoder();

export interface Tc3Authorization {
  readonly secretId: string;
  /** The date of the credential scope in UTC, `YYYY-MM-DD`. */
  readonly date: string;
  /** The service as the client names it. SDKs take it from the first label of the endpoint's host name. */
  readonly service: string;
  /** The names of the signed headers in lower case, in the client's order. */
  readonly signedHeaders: readonly string[];
  /** The signature, which has 32 bytes. */
  readonly signature: Uint8Array<ArrayBuffer>;
}

const AUTHORIZATION = new RegExp(
  `^${ALGORITHM}\\s+Credential=([^/,\\s]+)/([0-9]{4}-[0-9]{2}-[0-9]{2})/([^/,\\s]+)/${TERMINATOR}` +
    "\\s*,\\s*SignedHeaders=([^,\\s]+)\\s*,\\s*Signature=([0-9A-Fa-f]{64})$",
);

/** Reads an Authorization header. Returns null if it does not have the form above. */
export function parseAuthorization(header: string): Tc3Authorization | null {
  const match = AUTHORIZATION.exec(header.trim());
  if (match === null) return null;
  const [, secretId = "", date = "", service = "", signedHeaders = "", signature = ""] = match;
  return {
    secretId,
    date,
    service,
    signedHeaders: signedHeaders.toLowerCase().split(";"),
    signature: Uint8Array.from(signature.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
  };
}

export interface CanonicalParts {
  readonly method: "GET" | "POST";
  /** The raw query of a GET after the `?`; empty for a POST. */
  readonly query: string;
  /** The names of the headers in lower case with their values, in the client's order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly payload: string;
}

/** Writes the canonical request. The path is `/`, because the API has no other. */
export async function canonicalRequest({ method, query, headers, payload }: CanonicalParts): Promise<string> {
  return [
    method,
    "/",
    query,
    headers.map(([name, value]) => `${name}:${value.trim()}\n`).join(""),
    headers.map(([name]) => name).join(";"),
    await sha256Hex(payload),
  ].join("\n");
}

export interface SignOptions {
  readonly secretKey: string;
  readonly date: string;
  readonly service: string;
  /** The raw value of X-TC-Timestamp. */
  readonly timestamp: string;
  readonly canonicalRequest: string;
}

/** Returns the signature of a call, which has 32 bytes. */
export async function tc3Signature(options: SignOptions): Promise<ArrayBuffer> {
  const { date, service, timestamp } = options;
  const hashed = await sha256Hex(options.canonicalRequest);
  const stringToSign = [ALGORITHM, timestamp, `${date}/${service}/${TERMINATOR}`, hashed].join("\n");
  const dateKey = await hmac(encoder.encode(`TC3${options.secretKey}`), date);
  const serviceKey = await hmac(dateKey, service);
  return hmac(await hmac(serviceKey, TERMINATOR), stringToSign);
}

async function hmac(key: BufferSource, text: string): Promise<ArrayBuffer> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, encoder.encode(text));
}

async function sha256Hex(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
