export interface Migrations {
  /** The owner of the tables. Each owner in an object has its own version. */
  readonly name: string;
  /**
   * Each step leads from one version to the next; the first one from nothing to 1. A deployed step is never changed. The first
   * step must accept tables that exist already, because early versions were not stored.
   */
  readonly steps: readonly ((sql: SqlStorage) => unknown)[];
}

/** Brings storage that an older version of the code has written to the present shape, all of it or nothing. */
export function migrate(storage: DurableObjectStorage, { name, steps }: Migrations): void {
  const key = `schema:${name}`;
  const from = storage.kv.get<number>(key) ?? 0;
  if (from === steps.length) return;
  // Newer code has written it, and this code might misread it.
  if (from > steps.length)
    throw new Error(`Version ${from} of ${name} is newer than this code, which knows ${steps.length}.`);
  storage.transactionSync(() => {
    for (const step of steps.slice(from)) step(storage.sql);
    storage.kv.put(key, steps.length);
  });
}
