import { RoomcastError } from "@roomcast/shared";
import { hex } from "./hex.ts";

const encoder = new TextEncoder();
const VERSION = "v2";
/** Of an older edge: a key for each subject, instead of the subject as additional data. */
const VERSION_BEFORE = "v1";
const DAY_MS = 86_400_000;

/** The texts of `SEAL_KEY`, the newest first: it seals, all of them open. */
export type SealKeys = readonly [string, ...string[]];

export interface Opened {
  readonly value: unknown;
  /** It was sealed with an older key: whoever holds it should seal it anew. */
  readonly stale: boolean;
}

/** Of SEAL_KEY, of which there are a few. */
const masterKeys = new Map<string, CryptoKey>();

/** Keys of the days that came last: to derive one takes longer than to seal with it. */
const dayKeys = new Map<string, CryptoKey>();
const MAX_DAY_KEYS = 50;

async function masterKey(sealKey: string): Promise<CryptoKey> {
  const known = masterKeys.get(sealKey);
  if (known !== undefined) return known;
  const master = await crypto.subtle.importKey("raw", encoder.encode(sealKey), "HKDF", false, ["deriveKey"]);
  masterKeys.set(sealKey, master);
  return master;
}

/** An AES-256-GCM key for a salt (RFC 5869). */
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

/** One for each day, so that no key meets as many random nonces as would be too many (NIST SP 800-38D: 2^32). */
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

/**
 * A value as JSON, sealed for one subject: `v2.<day>.<nonce>.<ciphertext>`, the last two base64.
 *
 * @param subject what it belongs to: a task's id, `credential/<SecretId>`, …; it opens for this subject only.
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

/** As `openSealed`, for who does not keep the sealed text. */
export async function unseal(text: string, keys: SealKeys, subject: string): Promise<unknown> {
  return (await openSealed(text, keys, subject)).value;
}

/**
 * Opens a sealed text with whichever key sealed it.
 *
 * @throws RoomcastError `InternalError` when it was sealed with a key that is not there, for another subject, or was
 * changed.
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
  /** null: sealed by an older edge. */
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

/**
 * Keyed digests of a value, one for each key, so that equal requests are known without keeping them, also after a new
 * key was put first. Hex.
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

/** JSON with the keys in order, so that the order in which a caller wrote them does not matter. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
}
