import { type CallbackView, shownOrigin } from "@roomcast/shared";
import { isoTime } from "../base/iso-time.ts";
import type { StoredCallback } from "../contracts/keyring-object.ts";

export function showCallback(callback: StoredCallback): CallbackView {
  const { sdkAppId, shownUrl, events, changedAtMs, changedBy } = callback;
  return { SdkAppId: sdkAppId, Url: shownOrigin(shownUrl), Events: events, changedAt: isoTime(changedAtMs), changedBy };
}

/** The callbacks of applications in the keyring's SQLite, each stored as JSON. */
export class CallbackStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS callback (sdk_app_id INTEGER PRIMARY KEY, value TEXT NOT NULL)");
  }

  put(callback: StoredCallback): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO callback (sdk_app_id, value) VALUES (?, ?)",
      callback.sdkAppId,
      JSON.stringify(callback),
    );
  }

  get(sdkAppId: number): StoredCallback | undefined {
    return this.#read("WHERE sdk_app_id = ?", sdkAppId)[0];
  }

  all(): StoredCallback[] {
    return this.#read("ORDER BY sdk_app_id");
  }

  remove(sdkAppId: number): void {
    this.#sql.exec("DELETE FROM callback WHERE sdk_app_id = ?", sdkAppId);
  }

  #read(clause: string, ...bound: number[]): StoredCallback[] {
    return (
      this.#sql
        .exec<{ value: string }>(`SELECT value FROM callback ${clause}`, ...bound)
        .toArray()
        // SAFETY: the column is written by `put` only.
        .map(({ value }) => JSON.parse(value) as StoredCallback)
    );
  }
}
