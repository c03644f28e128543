import { runInDurableObject } from "cloudflare:test";

/** All that an object stores, as text: keys and values, and every row of every table. */
export function storedIn(stub: unknown): Promise<string> {
  // SAFETY: stubs of every class will do; their types do not fit into one another.
  return runInDurableObject(stub as DurableObjectStub, async (_object, { storage }) => {
    const { sql } = storage;
    const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
    const own = tables.filter(({ name }) => !name.startsWith("_cf_") && !name.startsWith("sqlite_"));
    const rows = own.map(({ name }) => [name, sql.exec(`SELECT * FROM "${name}"`).toArray()]);
    return JSON.stringify([[...(await storage.list())], rows]);
  });
}
