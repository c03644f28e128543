import { readConfig } from "../base/config.ts";
import { unseal } from "../base/seal.ts";
import { currentKeyring } from "../caches/keyring-cache.ts";
import type { Env } from "../contracts/env.ts";
import type { StoredCredential } from "../contracts/keyring-object.ts";
import { credentialSubject } from "../model/seal-subject.ts";
import type { Caller } from "./caller.ts";

/** A credential with the SecretKeys that are valid now. For some time after a rotation, a credential has two keys. */
export interface KnownCredential {
  readonly caller: Caller;
  readonly secretKeys: readonly string[];
}

/**
 * The opened SecretKeys of each credential by their sealed string. They are dropped together with the credential object, which
 * is replaced after each change.
 */
const opened = new WeakMap<StoredCredential, ReadonlyMap<string, string>>();

/**
 * Finds the credential of a SecretId: in the secret CREDENTIALS, or in the keyring as it was at most 5 s ago. Returns undefined
 * if there is no such credential with a valid key.
 */
export async function findCredential(env: Env, secretId: string): Promise<KnownCredential | undefined> {
  const fixed = readConfig(env).credentials.find((credential) => credential.secretId === secretId);
  if (fixed !== undefined) {
    const { sdkAppIds, role } = fixed;
    return { caller: { secretId, sdkAppIds, role }, secretKeys: [fixed.secretKey] };
  }
  const { credentials } = await currentKeyring(env);
  const credential = credentials.find((stored) => stored.secretId === secretId);
  if (credential === undefined) return undefined;
  const keys = await openedKeys(env, credential);
  const nowMs = Date.now();
  const secretKeys = credential.keys
    .filter(({ untilMs }) => untilMs === null || untilMs > nowMs)
    .flatMap(({ sealed }) => keys.get(sealed) ?? []);
  if (secretKeys.length === 0) return undefined;
  const { sdkAppIds, role } = credential;
  return { caller: { secretId, sdkAppIds, role }, secretKeys };
}

async function openedKeys(env: Env, credential: StoredCredential): Promise<ReadonlyMap<string, string>> {
  const known = opened.get(credential);
  if (known !== undefined) return known;
  const { sealKeys } = readConfig(env);
  const subject = credentialSubject(credential.secretId);
  const entries = await Promise.all(
    credential.keys.map(async ({ sealed }) => [sealed, String(await unseal(sealed, sealKeys, subject))] as const),
  );
  const keys = new Map(entries);
  opened.set(credential, keys);
  return keys;
}
