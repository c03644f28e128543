import type { Env } from "../contracts/env.ts";
import { KEYRING, type KeyringSnapshot } from "../contracts/keyring-object.ts";

/**
 * The largest age at which a copy of the keyring is used. After this time, every isolate knows a change, and refuses a revoked
 * credential.
 */
const MAX_AGE_MS = 5000;
/** The age from which one call refreshes the copy, while other calls continue to use the present one. */
const ASK_AGAIN_AFTER_MS = 2500;

interface Cached {
  readonly snapshot: KeyringSnapshot;
  /** The time at which the keyring was asked, not that of its answer. */
  readonly askedAtMs: number;
}

/**
 * This isolate's copy of the keyring. The whole keyring is copied, so that an unknown SecretId costs no call to the Keyring
 * object, and nobody can put load on that object by guessing.
 */
let cached: Cached | undefined;
let askingSinceMs = 0;

/** Returns the keyring as it was at most 5 s ago. */
export async function currentKeyring(env: Env): Promise<KeyringSnapshot> {
  const nowMs = Date.now();
  const ageMs = cached === undefined ? Number.POSITIVE_INFINITY : nowMs - cached.askedAtMs;
  if (cached !== undefined && ageMs >= 0 && ageMs < MAX_AGE_MS) {
    const asked = nowMs - askingSinceMs < ASK_AGAIN_AFTER_MS;
    if (ageMs < ASK_AGAIN_AFTER_MS || asked) return cached.snapshot;
  }
  askingSinceMs = nowMs;
  try {
    return await ask(env, nowMs);
  } catch (thrown) {
    // A copy is refreshed before it is too old, so it can still be used if the refresh fails.
    if (cached !== undefined && ageMs < MAX_AGE_MS) return cached.snapshot;
    throw thrown;
  }
}

/** Returns the last copy that this isolate has had, however old it is. Returns undefined if this isolate has had none. */
export function lastKnownKeyring(): KeyringSnapshot | undefined {
  return cached?.snapshot;
}

/**
 * Asks the Keyring for its present state. Requests do not share this call, because workerd cancels a pending call together with
 * the request that made it.
 */
async function ask(env: Env, nowMs: number): Promise<KeyringSnapshot> {
  const known = cached?.snapshot;
  const news = await env.KEYRING.getByName(KEYRING).snapshot(known?.version ?? null);
  const snapshot = news ?? known;
  if (snapshot === undefined) throw new Error("the keyring did not answer");
  if (cached === undefined || cached.askedAtMs <= nowMs) cached = { snapshot, askedAtMs: nowMs };
  return snapshot;
}

/** Drops the copy after a change in this isolate, so that the change is visible here at once. */
export function forgetKeyring(): void {
  cached = undefined;
}
