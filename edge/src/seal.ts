import { RoomcastError } from "@roomcast/shared";

const encoder = new TextEncoder();
const VERSION = "v1";

/** One AES-256-GCM key for each task, so that a sealed text cannot be moved to another one (RFC 5869, NIST SP 800-38D). */
async function taskKey(sealKey: string, taskId: string): Promise<CryptoKey> {
  const master = await crypto.subtle.importKey("raw", encoder.encode(sealKey), "HKDF", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: encoder.encode(taskId),
      info: encoder.encode(`roomcast request ${VERSION}`),
    },
    master,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/** A value as JSON, sealed for one task: `v1.<nonce>.<ciphertext>`, both base64. */
export async function seal(value: unknown, sealKey: string, taskId: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv },
    await taskKey(sealKey, taskId),
    encoder.encode(JSON.stringify(value)),
  );
  return [VERSION, toBase64(iv), toBase64(new Uint8Array(sealed))].join(".");
}

/** @throws RoomcastError `InternalError` when it was sealed with another key, for another task, or was changed. */
export async function unseal(text: string, sealKey: string, taskId: string): Promise<unknown> {
  const [version, iv, sealed] = text.split(".");
  try {
    if (version !== VERSION || iv === undefined || sealed === undefined) throw new Error("not a sealed text");
    const opened = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: fromBase64(iv) },
      await taskKey(sealKey, taskId),
      fromBase64(sealed),
    );
    return JSON.parse(new TextDecoder().decode(opened));
  } catch (cause) {
    throw new RoomcastError("InternalError", "The request of this task cannot be opened: SEAL_KEY has changed.", {
      cause,
    });
  }
}

/** A keyed digest of a value, so that equal requests are known without keeping them. Hex. */
export async function fingerprint(value: unknown, sealKey: string): Promise<string> {
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(`roomcast fingerprint ${sealKey}`),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const digest = await crypto.subtle.sign("HMAC", key, encoder.encode(canonical(value)));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** JSON with the keys in order, so that the order in which a caller wrote them does not matter. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
