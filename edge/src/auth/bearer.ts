import { RoomcastError } from "@roomcast/shared";
import type { Caller } from "./caller.ts";
import type { KnownCredential } from "./find-credential.ts";

const encoder = new TextEncoder();

/** A SecretId and a SecretKey are never longer than this together. */
const MAX_PAIR_LENGTH = 64 + 1 + 256;
/** What a key is compared with where the SecretId is not known. */
const NO_KEY = "a key that nobody has";

/**
 * `Authorization: Bearer <SecretId>.<SecretKey>`. A SecretId that does not exist and a wrong SecretKey are answered
 * alike, after the same work: who guesses learns nothing of either.
 *
 * @throws RoomcastError `AuthFailure.InvalidAuthorization`.
 */
export async function bearerCaller(
  pair: string,
  find: (secretId: string) => Promise<KnownCredential | undefined>,
): Promise<Caller> {
  const dot = pair.indexOf(".");
  if (dot < 1 || pair.length > MAX_PAIR_LENGTH) {
    throw new RoomcastError(
      "AuthFailure.InvalidAuthorization",
      "The Authorization header is malformed: expected `Bearer <SecretId>.<SecretKey>`.",
    );
  }
  const credential = await find(pair.slice(0, dot));
  const matches = await isOneOf(pair.slice(dot + 1), credential?.secretKeys ?? [NO_KEY]);
  if (credential === undefined || !matches) {
    throw new RoomcastError(
      "AuthFailure.InvalidAuthorization",
      "There is no credential with this SecretId and SecretKey.",
    );
  }
  return credential.caller;
}

/** Compares with all of them, however the first ones came out. */
async function isOneOf(given: string, keys: readonly string[]): Promise<boolean> {
  const same = await Promise.all(keys.map((key) => sameSecret(given, key)));
  return same.includes(true);
}

/** Digests have one length, so the time that comparing takes says nothing of either secret. */
async function sameSecret(given: string, expected: string): Promise<boolean> {
  const [a, b] = await Promise.all([digest(given), digest(expected)]);
  return crypto.subtle.timingSafeEqual(a, b);
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", encoder.encode(text));
}
