export interface Migrations {
  /** The owner of the tables. Each owner within an object has its own version number. */
  readonly name: string;
  /**
   * The steps from each version to the next; the first step leads to version 1. A deployed step is never changed. The first
   * step must accept tables that exist already, because the earliest code did not store its version number.
   */
  readonly steps: readonly ((sql: SqlStorage) => unknown)[];
}

/** Migrates storage that an older version of the code has written. Either all missing steps take effect or none of them. */
export function migrate(storage: DurableObjectStorage, { name, steps }: Migrations): void {
  const key = `schema:${name}`;
  const from = storage.kv.get<number>(key) ?? 0;
  if (from === steps.length) return;
  // Storage that newer code has written is refused, because this code might misread it.
  if (from > steps.length)
    throw new Error(
      `The stored schema ${name} has version ${from}, which is newer than this code supports: ${steps.length} is its newest.`,
    );
  storage.transactionSync(() => {
    for (const step of steps.slice(from)) step(storage.sql);
    storage.kv.put(key, steps.length);
  });
}
