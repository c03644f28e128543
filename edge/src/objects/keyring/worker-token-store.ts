import type { WorkerTokenList, WorkerTokenView } from "@roomcast/shared";
import { isoTime } from "../../base/iso-time.ts";

export interface StoredWorkerToken {
  readonly tokenId: string;
  readonly workerId: string;
  readonly regions: readonly string[];
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly expiresAtMs: number;
}

/**
 * Decides which worker tokens are valid. A token with a right signature is valid until its worker is revoked. From then
 * on, only tokens that were recorded here after the revocation are valid. No times are compared, so an older token that
 * was made on a machine with a fast clock is refused as well.
 */
export class WorkerTokenStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS worker_token (
        token_id TEXT PRIMARY KEY, worker_id TEXT NOT NULL, regions TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
        created_by TEXT NOT NULL, expires_at_ms INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS worker_token_by_worker ON worker_token (worker_id);
      CREATE TABLE IF NOT EXISTS revoked_worker (worker_id TEXT PRIMARY KEY, revoked_at_ms INTEGER NOT NULL);
    `);
  }

  admits(workerId: string, tokenId: string | null): boolean {
    const revoked = this.#sql.exec("SELECT 1 FROM revoked_worker WHERE worker_id = ?", workerId).toArray().length > 0;
    if (!revoked) return true;
    return (
      this.#sql.exec("SELECT 1 FROM worker_token WHERE worker_id = ? AND token_id = ?", workerId, tokenId).toArray()
        .length > 0
    );
  }

  /** Returns the number of valid tokens. Expired ones are deleted. */
  count(nowMs: number): number {
    this.#sql.exec("DELETE FROM worker_token WHERE expires_at_ms <= ?", nowMs);
    return this.#sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM worker_token").one().n;
  }

  add(token: StoredWorkerToken): void {
    this.#sql.exec(
      `INSERT INTO worker_token (token_id, worker_id, regions, created_at_ms, created_by, expires_at_ms)
       VALUES (?, ?, ?, ?, ?, ?)`,
      token.tokenId,
      token.workerId,
      JSON.stringify(token.regions),
      token.createdAtMs,
      token.createdBy,
      token.expiresAtMs,
    );
  }

  revoke(workerId: string, nowMs: number): void {
    this.#sql.exec("DELETE FROM worker_token WHERE worker_id = ?", workerId);
    this.#sql.exec("INSERT OR REPLACE INTO revoked_worker (worker_id, revoked_at_ms) VALUES (?, ?)", workerId, nowMs);
  }

  list(nowMs: number): WorkerTokenList {
    const tokens = this.#sql
      .exec<TokenRow>("SELECT * FROM worker_token WHERE expires_at_ms > ? ORDER BY worker_id, created_at_ms", nowMs)
      .toArray();
    const revoked = this.#sql
      .exec<{ worker_id: string; revoked_at_ms: number }>("SELECT * FROM revoked_worker ORDER BY worker_id")
      .toArray();
    return {
      tokens: tokens.map((row) =>
        showWorkerToken({
          tokenId: row.token_id,
          workerId: row.worker_id,
          // SAFETY: only `add` writes it.
          regions: JSON.parse(row.regions) as string[],
          createdAtMs: row.created_at_ms,
          createdBy: row.created_by,
          expiresAtMs: row.expires_at_ms,
        }),
      ),
      revoked: revoked.map((row) => ({ workerId: row.worker_id, revokedAt: isoTime(row.revoked_at_ms) })),
    };
  }
}

export function showWorkerToken(token: StoredWorkerToken): WorkerTokenView {
  const { tokenId, workerId, regions, createdAtMs, createdBy, expiresAtMs } = token;
  return {
    tokenId,
    workerId,
    regions: [...regions],
    createdAt: isoTime(createdAtMs),
    createdBy,
    expiresAt: isoTime(expiresAtMs),
  };
}

type TokenRow = {
  token_id: string;
  worker_id: string;
  regions: string;
  created_at_ms: number;
  created_by: string;
  expires_at_ms: number;
};
