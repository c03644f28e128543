import { RoomcastError } from "@roomcast/shared";
import { hex } from "./hex.ts";

const encoder = new TextEncoder();
const VERSION = "v2";
/** The format of an older edge, which derived a key for each subject instead of using the subject as additional data. */
const VERSION_BEFORE = "v1";
const DAY_MS = 86_400_000;

/** The keys in `SEAL_KEY`, the newest first. The first key seals, and any of them opens. */
export type SealKeys = readonly [string, ...string[]];

export interface Opened {
  readonly value: unknown;
  /** True if an older key sealed the value, so that the caller should seal it again. */
  readonly stale: boolean;
}

/** The imported keys by their strings in `SEAL_KEY`. There are only a few of them. */
const masterKeys = new Map<string, CryptoKey>();

/** The keys of the latest days, because deriving a key takes longer than sealing with it. */
const dayKeys = new Map<string, CryptoKey>();
const MAX_DAY_KEYS = 50;

async function masterKey(sealKey: string): Promise<CryptoKey> {
  const known = masterKeys.get(sealKey);
  if (known !== undefined) return known;
  const master = await crypto.subtle.importKey("raw", encoder.encode(sealKey), "HKDF", false, ["deriveKey"]);
  masterKeys.set(sealKey, master);
  return master;
}

/** Derives the AES-256-GCM key for a salt (RFC 5869). */
async function deriveKey(sealKey: string, salt: string, version: string): Promise<CryptoKey> {
  return crypto.subtle.deriveKey(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: encoder.encode(salt),
      info: encoder.encode(`roomcast request ${version}`),
    },
    await masterKey(sealKey),
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/**
 * Returns the key of a day. Each day has a different key, so that no key is used with too many random nonces (NIST SP 800-38D:
 * 2^32).
 */
async function dayKey(sealKey: string, day: string): Promise<CryptoKey> {
  const name = `${day} ${sealKey}`;
  const known = dayKeys.get(name);
  if (known !== undefined) return known;
  const key = await deriveKey(sealKey, day, VERSION);
  const [oldest] = dayKeys.keys();
  if (oldest !== undefined && dayKeys.size >= MAX_DAY_KEYS) dayKeys.delete(oldest);
  dayKeys.set(name, key);
  return key;
}

/** Seals a value as JSON for one subject: `v2.<day>.<nonce>.<ciphertext>`, the last two base64.
 *
 * @param subject the owner of the value: a task's id, `credential/<SecretId>`, …. The value opens for this subject only.
 */
export async function seal(value: unknown, keys: SealKeys, subject: string): Promise<string> {
  const day = String(Math.floor(Date.now() / DAY_MS));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: encoder.encode(subject) },
    await dayKey(keys[0], day),
    encoder.encode(JSON.stringify(value)),
  );
  return [VERSION, day, iv.toBase64(), new Uint8Array(sealed).toBase64()].join(".");
}

/** Works like `openSealed`, but returns only the value, for callers that do not keep the sealed string. */
export async function unseal(text: string, keys: SealKeys, subject: string): Promise<unknown> {
  return (await openSealed(text, keys, subject)).value;
}

/**
 * Opens a sealed string with the key that sealed it.
 *
 * @throws RoomcastError `InternalError` when that key is not configured, or when the string was sealed for another subject or
 * was changed.
 */
export async function openSealed(text: string, keys: SealKeys, subject: string): Promise<Opened> {
  const parts = partsOf(text);
  let cause: unknown = new Error("not a sealed text");
  for (const [at, key] of keys.entries()) {
    if (parts === undefined) break;
    try {
      return { value: await openWith(key, parts, subject), stale: at > 0 };
    } catch (thrown) {
      cause = thrown;
    }
  }
  throw new RoomcastError(
    "InternalError",
    "What the edge has sealed cannot be opened: SEAL_KEY no longer lists the key that it was sealed with.",
    { cause },
  );
}

interface SealedParts {
  /** The day whose key sealed the value; null if an older edge sealed it. */
  readonly day: string | null;
  readonly iv: string;
  readonly sealed: string;
}

function partsOf(text: string): SealedParts | undefined {
  const [version, ...parts] = text.split(".");
  const [day, iv, sealed] = version === VERSION_BEFORE ? [null, parts[0], parts[1]] : parts;
  const isKnown = version === VERSION || version === VERSION_BEFORE;
  return isKnown && day !== undefined && iv !== undefined && sealed !== undefined ? { day, iv, sealed } : undefined;
}

async function openWith(sealKey: string, { day, iv, sealed }: SealedParts, subject: string): Promise<unknown> {
  const algorithm = { name: "AES-GCM", iv: Uint8Array.fromBase64(iv) };
  const opened =
    day === null
      ? await crypto.subtle.decrypt(
          algorithm,
          await deriveKey(sealKey, subject, VERSION_BEFORE),
          Uint8Array.fromBase64(sealed),
        )
      : await crypto.subtle.decrypt(
          { ...algorithm, additionalData: encoder.encode(subject) },
          await dayKey(sealKey, day),
          Uint8Array.fromBase64(sealed),
        );
  return JSON.parse(new TextDecoder().decode(opened));
}

/** Returns keyed digests of a value in hex, one for each key, so that equal requests are recognised without storing them, even
 * after a rotation of the keys.
 */
export async function fingerprints(value: unknown, keys: SealKeys): Promise<[string, ...string[]]> {
  const text = canonical(value);
  const [newest, ...older] = keys;
  return [await fingerprint(text, newest), ...(await Promise.all(older.map((key) => fingerprint(text, key))))];
}

async function fingerprint(text: string, sealKey: string): Promise<string> {
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(`roomcast fingerprint ${sealKey}`),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const digest = await crypto.subtle.sign("HMAC", key, encoder.encode(text));
  return hex(new Uint8Array(digest));
}

/** Writes JSON with sorted keys, so that the order in which a caller wrote the keys does not matter. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
}
