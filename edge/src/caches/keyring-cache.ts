import type { Env } from "../contracts/env.ts";
import { KEYRING, type KeyringSnapshot } from "../contracts/keyring-object.ts";

/** The time after which every isolate knows a change of the keyring, so that a revoked credential is refused everywhere. */
const MAX_AGE_MS = 5000;
/** From this age on, one call refreshes the copy while the others use the present one. */
const ASK_AGAIN_AFTER_MS = 2500;

interface Cached {
  readonly snapshot: KeyringSnapshot;
  /** The time of the request, not of the answer. */
  readonly askedAtMs: number;
}

/** This isolate's copy of the keyring. The whole keyring is copied, so that an unknown SecretId costs no call to it, and nobody
 * can put load on it by guessing.
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
    // The copy is refreshed before it is too old.
    if (cached !== undefined && ageMs < MAX_AGE_MS) return cached.snapshot;
    throw thrown;
  }
}

/** Returns the last copy that this isolate has had, however old. Returns undefined if it never had one. */
export function lastKnownKeyring(): KeyringSnapshot | undefined {
  return cached?.snapshot;
}

/** Each request asks for itself: workerd cancels a pending call together with the request that made it, so it cannot be shared. */
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
