import type { Migrations } from "../../base/migrate.ts";

/** The tables of a Region. Times are Unix ms. */
export const REGION_TABLES: Migrations = {
  name: "region",
  steps: [
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS assignment (
          task_id TEXT PRIMARY KEY, attempt INTEGER NOT NULL, worker_id TEXT NOT NULL, instance_id TEXT NOT NULL,
          units REAL NOT NULL, since_ms INTEGER NOT NULL, dispatched INTEGER NOT NULL, confirmed INTEGER NOT NULL,
          release_at_ms INTEGER);
        CREATE TABLE IF NOT EXISTS waiting (
          seq INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL UNIQUE, units REAL NOT NULL);
      `),
    /** Version 2: workers that an operator takes out of service. */
    (sql) => sql.exec("CREATE TABLE IF NOT EXISTS drained (worker_id TEXT PRIMARY KEY)"),
    /** Version 3: connected workers, so that they are expected back when all sockets end with the runtime. */
    (sql) => sql.exec("CREATE TABLE IF NOT EXISTS connected (worker_id TEXT PRIMARY KEY)"),
    /** Version 4: lost workers, so that they stay listed for a while. */
    (sql) =>
      sql.exec(`
        CREATE TABLE IF NOT EXISTS lost (
          worker_id TEXT PRIMARY KEY, version TEXT NOT NULL, lost_at_ms INTEGER NOT NULL, tasks INTEGER NOT NULL)
      `),
    /** Version 5: the units that are reserved for a task until its worker has opened the source. */
    (sql) => sql.exec("ALTER TABLE assignment ADD COLUMN opening_units REAL NOT NULL DEFAULT 0"),
  ],
};
