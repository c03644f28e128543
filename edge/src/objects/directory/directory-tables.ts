import type { Migrations } from "../../base/migrate.ts";

/** What a Directory stores. Times are Unix ms. */
export const DIRECTORY_TABLES: Migrations = {
  name: "directory",
  steps: [
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS task (
          task_id TEXT PRIMARY KEY, sdk_app_id INTEGER NOT NULL, seat_key TEXT NOT NULL, room TEXT NOT NULL,
          user_id TEXT NOT NULL, region TEXT NOT NULL, status TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
          ended_at_ms INTEGER, replaced TEXT, confirmed INTEGER NOT NULL DEFAULT 0);
        CREATE INDEX IF NOT EXISTS task_by_age ON task (created_at_ms);
        CREATE INDEX IF NOT EXISTS task_unconfirmed ON task (created_at_ms) WHERE confirmed = 0;
        CREATE TABLE IF NOT EXISTS seat (seat_key TEXT PRIMARY KEY, task_id TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, task_id TEXT NOT NULL);
        CREATE INDEX IF NOT EXISTS idempotency_by_task ON idempotency (task_id);
        CREATE TABLE IF NOT EXISTS known (kind TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, name));
      `),
    /** 2: listing by status and by end; nothing of a deleted task is left in its successor's row. */
    (sql) =>
      sql.exec(`
        CREATE INDEX IF NOT EXISTS task_by_end ON task (ended_at_ms);
        CREATE INDEX IF NOT EXISTS task_by_status ON task (status, created_at_ms);
        CREATE INDEX IF NOT EXISTS task_by_replaced ON task (replaced) WHERE replaced IS NOT NULL;
      `),
    /** 3: tasks that have no object of their own yet. */
    (sql) => sql.exec("CREATE TABLE IF NOT EXISTS accepted (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)"),
    /** 4: what such a task is to do stands apart from what is looked at before. */
    (sql) => {
      sql.exec("ALTER TABLE accepted ADD COLUMN push TEXT NOT NULL DEFAULT ''");
      for (const { seq, body } of sql.exec<{ seq: number; body: string }>("SELECT seq, body FROM accepted").toArray()) {
        const [task, push] = splitAccepted(body);
        sql.exec("UPDATE accepted SET body = ?, push = ? WHERE seq = ?", task, push, seq);
      }
    },
    /** 5: such a task says its application, room and user by its seat alone, which older code does not read. */
    () => undefined,
    /** 6: why tasks have failed. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS failure (task_id TEXT PRIMARY KEY, code TEXT NOT NULL);
        CREATE INDEX IF NOT EXISTS failure_by_code ON failure (code);
      `),
    /** 7: which tasks of a user run, in whatever rooms, and when those start that do not start at once. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS later (task_id TEXT PRIMARY KEY, starts_at_ms INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS task_running_by_user ON task (user_id, created_at_ms) WHERE status = 'RUNNING';
      `),
    /** 8: who is in which room, by TRTC's events. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS room_user (
          room_key TEXT NOT NULL, user_id TEXT NOT NULL, is_in INTEGER NOT NULL, at_ms INTEGER NOT NULL,
          PRIMARY KEY (room_key, user_id)) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS room_user_by_age ON room_user (at_ms);
      `),
    /** 9: how many tasks have which status. Triggers keep it, so that no statement that changes a task can forget it. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS status_count (status TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
        DELETE FROM status_count;
        INSERT INTO status_count (status, n) SELECT status, COUNT(*) FROM task GROUP BY status;
        CREATE TRIGGER IF NOT EXISTS task_counted AFTER INSERT ON task BEGIN
          INSERT INTO status_count (status, n) VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
        END;
        CREATE TRIGGER IF NOT EXISTS task_recounted AFTER UPDATE OF status ON task WHEN OLD.status <> NEW.status BEGIN
          UPDATE status_count SET n = n - 1 WHERE status = OLD.status;
          INSERT INTO status_count (status, n) VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
        END;
        CREATE TRIGGER IF NOT EXISTS task_discounted AFTER DELETE ON task BEGIN
          UPDATE status_count SET n = n - 1 WHERE status = OLD.status;
        END;
      `),
  ],
};

/** An accepted task of version 3, as far as version 4 divides it; the rest stays as it is. */
interface AcceptedOfVersion3 {
  readonly task: {
    readonly taskId: string;
    readonly region: string;
    readonly replaces: readonly string[];
    readonly request: { readonly StartAt?: string };
    readonly sealedRequest: string;
  };
  readonly callbacks: unknown;
}

/** How long before its StartAt a push took its place, in version 4. Not today's: what was migrated stays as it was. */
const START_LEAD_MS = 15_000;

/** Of version 3's text of a task, version 4's two. */
function splitAccepted(body: string): [task: string, push: string] {
  // SAFETY: version 3 wrote it.
  const { task, callbacks, ...rest } = JSON.parse(body) as AcceptedOfVersion3;
  const { taskId, region, replaces, request, sealedRequest } = task;
  const { StartAt } = request;
  const startsAtMs = StartAt === undefined ? 0 : Math.max(0, Date.parse(StartAt) - START_LEAD_MS);
  const accepted = { ...rest, taskId, region, replaces, startsAtMs };
  return [JSON.stringify(accepted), JSON.stringify({ request, sealedRequest, callbacks })];
}
