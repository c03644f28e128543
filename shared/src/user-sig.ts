import { RoomcastError } from "./errors.ts";

/** The contents of a UserSig, which are readable without a key. */
export interface UserSigFields {
  readonly userId: string;
  readonly sdkAppId: number;
  /** Time of issue, Unix seconds. */
  readonly issuedAtS: number;
  /** Lifetime, seconds. */
  readonly lifetimeS: number;
  /** The HMAC-SHA256 as base64. */
  readonly signature: string;
  /** The user buffer as base64, if the UserSig has one. */
  readonly userBuffer?: string;
}

export interface MintUserSigOptions {
  readonly sdkAppId: number;
  readonly userId: string;
  /** The TRTC application's SecretKey. */
  readonly secretKey: string;
  /** Lifetime, seconds. */
  readonly lifetimeS: number;
  /** Unix ms. */
  readonly nowMs: number;
}

export interface CheckUserSigOptions {
  readonly userSig: string;
  readonly userId: string;
  readonly sdkAppId: number;
  /** Unix ms. */
  readonly nowMs: number;
  /** If it is given, the signature is verified too. */
  readonly secretKey?: string | undefined;
  /** A way to inflate in this runtime that is faster than a stream, if there is one. */
  readonly inflate?: Inflate;
}

/**
 * Inflates a zlib stream (RFC 1950). Throws if the input is not one, or if the output exceeds the given number of
 * bytes.
 */
export type Inflate = (
  deflated: Uint8Array<ArrayBuffer>,
  maxBytes: number,
) => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;

/** The inflated JSON of a UserSig has some 200 bytes. Input that inflates to more than this is not a UserSig. */
const MAX_INFLATED_BYTES = 16 * 1024;

/** A UserSig has some 200 characters, with a user buffer some 300. */
export const MAX_USER_SIG_LENGTH = 4096;

/**
 * How far ahead of our clock a UserSig may have been made. A generator that takes local time for UTC is off by up to 14
 * hours. A UserSig from more than a day ahead was made with a wrong unit or a broken clock.
 */
const MAX_AHEAD_S = 86_400;

/** The alphabet of base64 with `+`, `/` and `=` written as `*`, `-` and `_`. */
const ALPHABET = /^[A-Za-z0-9*_-]+$/;

const encoder = new TextEncoder();

/** The type `CryptoKey`, which Node and workerd declare differently. */
type HmacKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** The verifying keys of the most recent applications. Importing a key takes longer than verifying with it. */
const verifyingKeys = new Map<string, HmacKey>();
const MAX_VERIFYING_KEYS = 100;

/**
 * The UserSigs that were verified most recently, by SecretKey and UserSig. An application makes one UserSig for a user
 * and uses it for many pushes. Only parsing and the signature check are saved; the user and the expiry are checked each
 * time.
 */
const genuine = new Map<string, UserSigFields>();
const MAX_GENUINE = 1000;

/** Mints a UserSig with the application's SecretKey. Runs in workerd and in Node (Web Crypto, CompressionStream). */
export async function mintUserSig(options: MintUserSigOptions): Promise<string> {
  const unsigned = {
    userId: options.userId,
    sdkAppId: options.sdkAppId,
    issuedAtS: Math.floor(options.nowMs / 1000),
    lifetimeS: options.lifetimeS,
  };
  const key = await hmacKey(options.secretKey, "sign");
  const signature = await crypto.subtle.sign("HMAC", key, signedText(unsigned));
  const json = JSON.stringify({
    "TLS.ver": "2.0",
    "TLS.identifier": unsigned.userId,
    "TLS.sdkappid": unsigned.sdkAppId,
    "TLS.expire": unsigned.lifetimeS,
    "TLS.time": unsigned.issuedAtS,
    "TLS.sig": toBase64(new Uint8Array(signature)),
  });
  const deflated = await pump(utf8(json), new CompressionStream("deflate"), Number.POSITIVE_INFINITY);
  return toBase64(deflated).replaceAll("+", "*").replaceAll("/", "-").replaceAll("=", "_");
}

/**
 * Reads the fields of a UserSig without judging them.
 *
 * @throws RoomcastError `AuthFailure.InvalidUserSig` when it cannot be read.
 */
export async function readUserSig(userSig: string, inflate: Inflate = inflateByStream): Promise<UserSigFields> {
  try {
    if (userSig.length > MAX_USER_SIG_LENGTH || !ALPHABET.test(userSig)) throw new Error("not a UserSig's text");
    const deflated = fromBase64(userSig.replaceAll("*", "+").replaceAll("-", "/").replaceAll("_", "="));
    const json: unknown = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(await inflate(deflated, MAX_INFLATED_BYTES)),
    );
    return fieldsOf(json);
  } catch (cause) {
    throw new RoomcastError(
      "AuthFailure.InvalidUserSig",
      `UserSig cannot be read: ${spoiledBy(userSig)}expected the text that TRTC's generator returns for this UserId and SdkAppId.`,
      { cause, fields: [{ field: "UserSig", problem: "invalid", expected: "a readable UserSig" }] },
    );
  }
}

/** Typical damage to a UserSig by copying and by configuration files. */
const SPOILED: readonly (readonly [sign: RegExp, what: string])[] = [
  [/^\s*["'`\u2018-\u201f].*|["'`\u2018-\u201f]\s*$/su, "it is enclosed in quotation marks"],
  [/\\[rn]|[\r\n\u2028\u2029]/u, "it has a line end in it"],
  [/[\s\u200b\ufeff]/u, "it has blanks in it"],
  [/%[0-9a-f]{2}/iu, "it is percent-encoded"],
  [/[+/=]/u, "it is standard base64, where a UserSig has * for +, - for / and _ for ="],
];

/** Returns a hint why a text is not a UserSig, or "" if none is visible. */
function spoiledBy(userSig: string): string {
  if (userSig.length > MAX_USER_SIG_LENGTH) return "it is too long; ";
  const found = SPOILED.find(([sign]) => sign.test(userSig));
  return found === undefined ? "" : `${found[1]}; `;
}

/**
 * Checks that a UserSig is readable, is for this user and application and has not expired. If the SecretKey is known,
 * its signature is verified too.
 *
 * @throws RoomcastError `AuthFailure.InvalidUserSig` or `AuthFailure.UserSigExpired`.
 */
export async function checkUserSig(options: CheckUserSigOptions): Promise<UserSigFields> {
  const nameOfGenuine = `${options.secretKey ?? ""}\n${options.userSig}`;
  const known = genuine.get(nameOfGenuine);
  const fields = known ?? (await readUserSig(options.userSig, options.inflate));
  if (fields.userId !== options.userId) throw invalid("it was made for another UserId");
  if (fields.sdkAppId !== options.sdkAppId) throw invalid("it was made for another SdkAppId");
  if (fields.issuedAtS - MAX_AHEAD_S > options.nowMs / 1000) throw invalid("it was made for a time still to come");
  if (expiryMs(fields) <= options.nowMs) {
    throw new RoomcastError(
      "AuthFailure.UserSigExpired",
      `UserSig has expired${since(expiryMs(fields))}: make a new one for this UserId.`,
      { fields: [{ field: "UserSig", problem: "invalid", expected: "a UserSig that has not expired" }] },
    );
  }
  if (options.secretKey !== undefined && known === undefined) {
    const key = await verifyingKey(options.secretKey);
    // `verify` compares in constant time.
    const matches = await crypto.subtle.verify("HMAC", key, decodeSignature(fields.signature), signedText(fields));
    if (!matches) throw invalid("its signature does not match the application's SecretKey");
    keepNewest(genuine, MAX_GENUINE, nameOfGenuine, fields);
  }
  return fields;
}

/** The time at which a UserSig expires, Unix ms. */
export function expiryMs({ issuedAtS, lifetimeS }: Pick<UserSigFields, "issuedAtS" | "lifetimeS">): number {
  return (issuedAtS + lifetimeS) * 1000;
}

/** A generator that uses a wrong unit may write a number that is not a valid date. */
function since(ms: number): string {
  return ms < 0 ? "" : ` since ${new Date(ms).toISOString()}`;
}

function invalid(why: string): RoomcastError {
  return new RoomcastError("AuthFailure.InvalidUserSig", `UserSig is not valid here: ${why}.`, {
    fields: [{ field: "UserSig", problem: "invalid", expected: "a UserSig made for UserId and SdkAppId" }],
  });
}

function fieldsOf(json: unknown): UserSigFields {
  if (typeof json !== "object" || json === null) throw new Error("not an object");
  // SAFETY: any property of an object may be read; each is checked below.
  const record = json as Record<string, unknown>;
  const userId = record["TLS.identifier"];
  const signature = record["TLS.sig"];
  const userBuffer = record["TLS.userbuf"];
  if (typeof userId !== "string" || typeof signature !== "string") throw new Error("a field is missing");
  if (userBuffer !== undefined && typeof userBuffer !== "string") throw new Error("the user buffer is not a text");
  return {
    userId,
    signature,
    sdkAppId: wholeNumber(record["TLS.sdkappid"]),
    issuedAtS: wholeNumber(record["TLS.time"]),
    lifetimeS: wholeNumber(record["TLS.expire"]),
    ...(userBuffer === undefined ? {} : { userBuffer }),
  };
}

/** Some generators write the numbers as texts. */
function wholeNumber(value: unknown): number {
  const number = typeof value === "string" && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) throw new Error("a number is missing");
  return number;
}

function signedText(fields: Omit<UserSigFields, "signature">): Uint8Array<ArrayBuffer> {
  const lines = [
    `TLS.identifier:${fields.userId}`,
    `TLS.sdkappid:${fields.sdkAppId}`,
    `TLS.time:${fields.issuedAtS}`,
    `TLS.expire:${fields.lifetimeS}`,
  ];
  if (fields.userBuffer !== undefined) lines.push(`TLS.userbuf:${fields.userBuffer}`);
  return utf8(lines.map((line) => `${line}\n`).join(""));
}

/** Copies the bytes, so that the type says, in Node and in workerd, that the array owns its buffer. */
function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encoder.encode(text));
}

function hmacKey(secretKey: string, usage: "sign" | "verify"): Promise<HmacKey> {
  return crypto.subtle.importKey("raw", utf8(secretKey), { name: "HMAC", hash: "SHA-256" }, false, [usage]);
}

async function verifyingKey(secretKey: string): Promise<HmacKey> {
  const known = verifyingKeys.get(secretKey);
  if (known !== undefined) return known;
  const key = await hmacKey(secretKey, "verify");
  keepNewest(verifyingKeys, MAX_VERIFYING_KEYS, secretKey, key);
  return key;
}

/** Puts an entry into a map and drops the oldest entry when the map is full. */
function keepNewest<Value>(map: Map<string, Value>, most: number, name: string, value: Value): void {
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size >= most) map.delete(oldest);
  map.set(name, value);
}

function inflateByStream(deflated: Uint8Array<ArrayBuffer>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  return pump(deflated, new DecompressionStream("deflate"), maxBytes);
}

function decodeSignature(text: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64(text);
  } catch {
    throw invalid("its signature cannot be read");
  }
}

async function pump(
  bytes: Uint8Array<ArrayBuffer>,
  through: CompressionStream | DecompressionStream,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = new Blob([bytes]).stream().pipeThrough(through).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > maxBytes) {
      await reader.cancel();
      throw new Error("too long");
    }
    chunks.push(value);
  }
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return joined;
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
