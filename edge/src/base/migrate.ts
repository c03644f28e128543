export interface Migrations {
  /** Whose tables they are. Each owner in an object has a version of its own. */
  readonly name: string;
  /**
   * Each leads from one version to the next: the first from nothing to 1. What has been deployed is never changed; the
   * first must bear tables that are there already, because the version was not always written down.
   */
  readonly steps: readonly ((sql: SqlStorage) => unknown)[];
}

/** Brings what an older version of the code has stored to this one's shape. All or nothing. */
export function migrate(storage: DurableObjectStorage, { name, steps }: Migrations): void {
  const key = `schema:${name}`;
  const from = storage.kv.get<number>(key) ?? 0;
  if (from === steps.length) return;
  // It was written by newer code, which may have left what this one would misread.
  if (from > steps.length)
    throw new Error(`Version ${from} of ${name} is newer than this code, which knows ${steps.length}.`);
  storage.transactionSync(() => {
    for (const step of steps.slice(from)) step(storage.sql);
    storage.kv.put(key, steps.length);
  });
}
