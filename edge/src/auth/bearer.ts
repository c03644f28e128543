import { RoomcastError } from "@roomcast/shared";
import type { Credential } from "../config.ts";
import type { Caller } from "./caller.ts";

const encoder = new TextEncoder();

/**
 * `Authorization: Bearer <SecretId>.<SecretKey>`.
 *
 * @throws RoomcastError `AuthFailure.SecretIdNotFound` or `AuthFailure.InvalidAuthorization`.
 */
export async function bearerCaller(pair: string, credentials: readonly Credential[]): Promise<Caller> {
  const dot = pair.indexOf(".");
  if (dot < 1) {
    throw new RoomcastError(
      "AuthFailure.InvalidAuthorization",
      "The Authorization header is malformed: expected `Bearer <SecretId>.<SecretKey>`.",
    );
  }
  const credential = credentials.find(({ secretId }) => secretId === pair.slice(0, dot));
  if (credential === undefined) {
    throw new RoomcastError("AuthFailure.SecretIdNotFound", "There is no credential with this SecretId.");
  }
  if (!(await sameSecret(pair.slice(dot + 1), credential.secretKey))) {
    throw new RoomcastError("AuthFailure.InvalidAuthorization", "The SecretKey does not belong to this SecretId.");
  }
  return { secretId: credential.secretId, sdkAppIds: credential.sdkAppIds, role: credential.role };
}

/** Digests have one length, so the time that comparing takes says nothing of either secret. */
async function sameSecret(given: string, expected: string): Promise<boolean> {
  const [a, b] = await Promise.all([digest(given), digest(expected)]);
  return crypto.subtle.timingSafeEqual(a, b);
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", encoder.encode(text));
}
