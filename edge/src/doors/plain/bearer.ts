import { RoomcastError } from "@roomcast/shared";
import type { Caller } from "../../auth/caller.ts";
import type { KnownCredential } from "../../auth/find-credential.ts";

const encoder = new TextEncoder();

/** The largest length of a SecretId, a dot and a SecretKey together. */
const MAX_PAIR_LENGTH = 64 + 1 + 256;
const LENGTH_BYTES = 4;
/** The largest number of UTF-8 bytes that one UTF-16 code unit takes. */
const MAX_BYTES_PER_UNIT = 3;
/** The string that the given key is compared with if the SecretId is unknown. */
const NO_KEY = "a key that nobody has";

/**
 * Authenticates a caller by `Authorization: Bearer <SecretId>.<SecretKey>`. An unknown SecretId and a wrong SecretKey get the
 * same answer after the same work, so that guessing reveals nothing.
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
  const matches = isOneOf(pair.slice(dot + 1), credential?.secretKeys ?? [NO_KEY]);
  if (credential === undefined || !matches) {
    throw new RoomcastError(
      "AuthFailure.InvalidAuthorization",
      "There is no credential with this SecretId and SecretKey.",
    );
  }
  return credential.caller;
}

/**
 * Compares the given key with every valid one, even if an earlier one matches, so that the time taken does not reveal which one
 * matched.
 */
function isOneOf(given: string, keys: readonly string[]): boolean {
  return keys.map((key) => sameSecret(given, key)).includes(true);
}

/** The buffers for the two secrets of a comparison, which are padded to the same length. Every comparison overwrites them. */
const givenBytes = new Uint8Array(LENGTH_BYTES + MAX_BYTES_PER_UNIT * MAX_PAIR_LENGTH);
const expectedBytes = new Uint8Array(givenBytes.length);

/** Compares two secrets over the whole length of the buffers, so that the time taken reveals nothing about either of them. */
function sameSecret(given: string, expected: string): boolean {
  fill(givenBytes, given);
  fill(expectedBytes, expected);
  return crypto.subtle.timingSafeEqual(givenBytes, expectedBytes);
}

/** Writes a string's length and its bytes. Without the length, the padding would make different strings equal. */
function fill(bytes: Uint8Array, text: string): void {
  bytes.fill(0);
  const { written } = encoder.encodeInto(text, bytes.subarray(LENGTH_BYTES));
  new DataView(bytes.buffer).setUint32(0, written);
}
