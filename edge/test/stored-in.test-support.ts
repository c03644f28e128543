import { runInDurableObject } from "cloudflare:test";

/** Returns everything that an object stores as text: keys, values and every row of every table. */
export function storedIn(stub: unknown): Promise<string> {
  // SAFETY: a stub of any class is accepted, but their types are not assignable to each other.
  return runInDurableObject(stub as DurableObjectStub, async (_object, { storage }) => {
    const { sql } = storage;
    const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
    const own = tables.filter(({ name }) => !name.startsWith("_cf_") && !name.startsWith("sqlite_"));
    const rows = own.map(({ name }) => [name, sql.exec(`SELECT * FROM "${name}"`).toArray()]);
    return JSON.stringify([[...(await storage.list())], rows]);
  });
}
