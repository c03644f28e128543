import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { type Migrations, migrate } from "../src/base/migrate.ts";
import { fresh } from "./fixtures.test-support.ts";

function inStorage(check: (storage: DurableObjectStorage) => void): Promise<void> {
  return runInDurableObject(env.TASK.getByName(fresh("task")), (_task, { storage }) => check(storage));
}

const table: Migrations["steps"][number] = (sql) => sql.exec("CREATE TABLE IF NOT EXISTS thing (name TEXT)");
const column: Migrations["steps"][number] = (sql) => sql.exec("ALTER TABLE thing ADD COLUMN size INTEGER");

describe("migrate", () => {
  it("runs each missing step once, in order, from any stored version", async () => {
    await inStorage((storage) => {
      migrate(storage, { name: "things", steps: [table] });
      storage.sql.exec("INSERT INTO thing VALUES ('old')");
      for (let start = 0; start < 3; start += 1) migrate(storage, { name: "things", steps: [table, column] });
      expect(storage.sql.exec("SELECT * FROM thing").toArray()).toEqual([{ name: "old", size: null }]);
      expect(storage.kv.get("schema:things")).toBe(2);
    });
  });

  it("changes nothing when a step fails, and runs it again at the next start", async () => {
    await inStorage((storage) => {
      migrate(storage, { name: "things", steps: [table] });
      const broken: Migrations["steps"][number] = (sql) => sql.exec("DROP TABLE no_such_table");
      expect(() => migrate(storage, { name: "things", steps: [table, column, broken] })).toThrow("no_such_table");
      expect(storage.kv.get("schema:things")).toBe(1);
      migrate(storage, { name: "things", steps: [table, column] });
      expect(storage.kv.get("schema:things")).toBe(2);
    });
  });

  it("does not touch what newer code has stored", async () => {
    await inStorage((storage) => {
      storage.kv.put("schema:things", 3);
      expect(() => migrate(storage, { name: "things", steps: [table] })).toThrow(
        "has version 3, which is newer than this code supports",
      );
    });
  });
});
