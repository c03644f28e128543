import type { Env } from "../contracts/env.ts";
import { KEYRING, type KeyringSnapshot } from "../contracts/keyring-object.ts";

/** A change of the keyring is known in every isolate after this long: a revoked credential opens nothing any more. */
const MAX_AGE_MS = 5000;
/** From this age on one call asks for news, while the others go on with what is known. */
const ASK_AGAIN_AFTER_MS = 2500;

interface Cached {
  readonly snapshot: KeyringSnapshot;
  /** When it was asked for, not when the answer came. */
  readonly askedAtMs: number;
}

/**
 * What this isolate knows of the keyring. The whole of it is kept, so that a SecretId which does not exist costs no
 * call to the keyring: nobody can load it by guessing.
 */
let cached: Cached | undefined;
let askingSinceMs = 0;

/** The keyring as it was at most 5 s ago. */
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
    // It is asked before it must be.
    if (cached !== undefined && ageMs < MAX_AGE_MS) return cached.snapshot;
    throw thrown;
  }
}

/** The keyring as this isolate has seen it last, however long ago. Undefined if it never has. */
export function lastKnownKeyring(): KeyringSnapshot | undefined {
  return cached?.snapshot;
}

/** Each call asks for itself: in workerd, an answer that another request waits for goes when that request is cut off. */
async function ask(env: Env, nowMs: number): Promise<KeyringSnapshot> {
  const known = cached?.snapshot;
  const news = await env.KEYRING.getByName(KEYRING).snapshot(known?.version ?? null);
  const snapshot = news ?? known;
  if (snapshot === undefined) throw new Error("the keyring did not answer");
  if (cached === undefined || cached.askedAtMs <= nowMs) cached = { snapshot, askedAtMs: nowMs };
  return snapshot;
}

/** After a change that was made in this isolate, which shows at once here. */
export function forgetKeyring(): void {
  cached = undefined;
}
