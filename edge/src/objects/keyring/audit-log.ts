import { type AuditList, shownOrigin } from "@roomcast/shared";
import { isoTime } from "../../base/iso-time.ts";
import type { Actor, AuditQuery } from "../../contracts/keyring-object.ts";
import { type AppScope, covers } from "../../model/app-scope.ts";

type AuditLine = AuditList["lines"][number];

export interface Change {
  readonly action: AuditLine["action"];
  /** The subject of the change: a SecretId, a worker's id or an SdkAppId. */
  readonly subject: string;
  /** The applications that the change concerns. */
  readonly sdkAppIds: AppScope;
  /** Further details for an admin, without secrets. */
  readonly detail: string;
}

const KEPT_MS = 90 * 24 * 3_600_000;
const MAX_AUDIT_LINES = 10_000;

/** The log of changes with their authors and times, kept for 90 days and at most 10,000 lines. */
export class AuditLog {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL,
        subject TEXT NOT NULL, sdk_app_ids TEXT NOT NULL, detail TEXT NOT NULL)`);
  }

  /** Appends a line. It must be called in the transaction that makes the change. */
  append(by: Actor, change: Change, atMs: number): void {
    const { action, subject, sdkAppIds, detail } = change;
    this.#sql.exec(
      "INSERT INTO audit (at_ms, by, action, subject, sdk_app_ids, detail) VALUES (?, ?, ?, ?, ?, ?)",
      atMs,
      by.secretId,
      action,
      subject,
      JSON.stringify(sdkAppIds),
      detail,
    );
    this.#sql.exec(
      "DELETE FROM audit WHERE at_ms < ? OR seq <= (SELECT MAX(seq) FROM audit) - ?",
      atMs - KEPT_MS,
      MAX_AUDIT_LINES,
    );
  }

  /** Returns the lines, newest first, without those that concern applications outside the reader's scope. */
  lines(reader: Actor, { limit, before }: AuditQuery): AuditLine[] {
    const rows = this.#sql.exec<AuditRow>(
      "SELECT * FROM audit WHERE seq < ? AND at_ms >= ? ORDER BY seq DESC",
      before ?? Number.MAX_SAFE_INTEGER,
      Date.now() - KEPT_MS,
    );
    const lines: AuditLine[] = [];
    for (const row of rows) {
      if (lines.length === limit) break;
      // SAFETY: only `append` writes it.
      const sdkAppIds = JSON.parse(row.sdk_app_ids) as AuditLine["sdkAppIds"];
      if (!covers(reader.sdkAppIds, sdkAppIds)) continue;
      const { seq, by, action, subject, detail } = row;
      lines.push({ seq, at: isoTime(row.at_ms), by, action, subject, sdkAppIds, detail: shownDetail(detail) });
    }
    return lines;
  }
}

/**
 * Returns a detail with its URLs shortened to their origins. The only URLs in an audit line are those of callbacks, and
 * older edges wrote their paths too.
 */
function shownDetail(detail: string): string {
  return detail.replaceAll(/https?:\/\/[^\s,]+/g, shownOrigin);
}

type AuditRow = {
  seq: number;
  at_ms: number;
  by: string;
  action: AuditLine["action"];
  subject: string;
  sdk_app_ids: string;
  detail: string;
};
