import type { CredentialView } from "@roomcast/shared";
import { isoTime } from "../../base/iso-time.ts";
import type { SealedKey, StoredCredential } from "../../contracts/keyring-object.ts";

/**
 * Returns the keys with a new one in front. Earlier keys become invalid at the end of the overlap, or before it if that
 * was set already. Expired keys are dropped. Pure.
 */
export function rotated(
  keys: StoredCredential["keys"],
  newest: SealedKey,
  overlapMs: number,
): StoredCredential["keys"] {
  const nowMs = newest.sinceMs;
  const endMs = nowMs + overlapMs;
  const earlier = keys
    .map((key) => ({ ...key, untilMs: Math.min(key.untilMs ?? endMs, endMs) }))
    .filter(({ untilMs }) => untilMs > nowMs);
  return [newest, ...earlier];
}

export function showCredential(credential: StoredCredential, nowMs: number): CredentialView {
  const { secretId, role, sdkAppIds, note, createdAtMs, createdBy, keys } = credential;
  return {
    secretId,
    role,
    sdkAppIds: sdkAppIds === "*" ? "*" : [...sdkAppIds],
    source: "keyring",
    note,
    createdAt: isoTime(createdAtMs),
    createdBy,
    keys: keys
      .filter(({ untilMs }) => untilMs === null || untilMs > nowMs)
      .map(({ sinceMs, untilMs }) => ({
        since: isoTime(sinceMs),
        validUntil: untilMs === null ? null : isoTime(untilMs),
      })),
  };
}

/** The credentials in the keyring's SQLite, each as one JSON string. */
export class CredentialStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS credential (secret_id TEXT PRIMARY KEY, value TEXT NOT NULL)");
  }

  put(credential: StoredCredential): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO credential (secret_id, value) VALUES (?, ?)",
      credential.secretId,
      JSON.stringify(credential),
    );
  }

  get(secretId: string): StoredCredential | undefined {
    return this.#read("WHERE secret_id = ?", secretId)[0];
  }

  all(): StoredCredential[] {
    return this.#read("ORDER BY secret_id");
  }

  remove(secretId: string): void {
    this.#sql.exec("DELETE FROM credential WHERE secret_id = ?", secretId);
  }

  #read(clause: string, ...bound: string[]): StoredCredential[] {
    return (
      this.#sql
        .exec<{ value: string }>(`SELECT value FROM credential ${clause}`, ...bound)
        .toArray()
        // SAFETY: only `put` writes it.
        .map(({ value }) => JSON.parse(value) as StoredCredential)
    );
  }
}
