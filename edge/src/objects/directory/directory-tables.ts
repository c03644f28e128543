import type { Migrations } from "../../base/migrate.ts";

/** The tables of a Directory. Times are Unix ms. */
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
    /**
     * Version 2: indexes for listing tasks by status and by end, and for removing a deleted task from its successor's
     * row.
     */
    (sql) =>
      sql.exec(`
        CREATE INDEX IF NOT EXISTS task_by_end ON task (ended_at_ms);
        CREATE INDEX IF NOT EXISTS task_by_status ON task (status, created_at_ms);
        CREATE INDEX IF NOT EXISTS task_by_replaced ON task (replaced) WHERE replaced IS NOT NULL;
      `),
    /** Version 3: tasks that do not have an object yet. */
    (sql) => sql.exec("CREATE TABLE IF NOT EXISTS accepted (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)"),
    /**
     * Version 4: the push of a task without an object is in a separate column from the fields that are read more often.
     */
    (sql) => {
      sql.exec("ALTER TABLE accepted ADD COLUMN push TEXT NOT NULL DEFAULT ''");
      for (const { seq, body } of sql.exec<{ seq: number; body: string }>("SELECT seq, body FROM accepted").toArray()) {
        const [task, push] = splitAccepted(body);
        sql.exec("UPDATE accepted SET body = ?, push = ? WHERE seq = ?", task, push, seq);
      }
    },
    /**
     * Version 5: a task without an object names its application, room and user only by its seat. The tables stay as
     * they are, but older code cannot read such a task.
     */
    () => undefined,
    /** Version 6: the error codes of failed tasks. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS failure (task_id TEXT PRIMARY KEY, code TEXT NOT NULL);
        CREATE INDEX IF NOT EXISTS failure_by_code ON failure (code);
      `),
    /** Version 7: an index of a user's running tasks in all rooms, and the start times of tasks that start later. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS later (task_id TEXT PRIMARY KEY, starts_at_ms INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS task_running_by_user ON task (user_id, created_at_ms) WHERE status = 'RUNNING';
      `),
    /** Version 8: the users in each room, by TRTC's events. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS room_user (
          room_key TEXT NOT NULL, user_id TEXT NOT NULL, is_in INTEGER NOT NULL, at_ms INTEGER NOT NULL,
          PRIMARY KEY (room_key, user_id)) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS room_user_by_age ON room_user (at_ms);
      `),
    /**
     * Version 9: the number of tasks of each status. Triggers count the tasks, so that the numbers stay right whatever
     * statement changes a task.
     */
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

/** The parts of a version 3 task that version 4 divides. The other parts stay unchanged. */
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

/**
 * How long before its StartAt a push was placed in version 4. This value must not follow later changes of the product,
 * because migrated rows stay unchanged.
 */
const START_LEAD_MS = 15_000;

/** Splits the JSON string of a version 3 task into the two JSON strings of version 4. */
function splitAccepted(body: string): [task: string, push: string] {
  // SAFETY: version 3 wrote it.
  const { task, callbacks, ...rest } = JSON.parse(body) as AcceptedOfVersion3;
  const { taskId, region, replaces, request, sealedRequest } = task;
  const { StartAt } = request;
  const startsAtMs = StartAt === undefined ? 0 : Math.max(0, Date.parse(StartAt) - START_LEAD_MS);
  const accepted = { ...rest, taskId, region, replaces, startsAtMs };
  return [JSON.stringify(accepted), JSON.stringify({ request, sealedRequest, callbacks })];
}
