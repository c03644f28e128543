import { isActive, type TaskState } from "@roomcast/shared";
import { RECORD_SCHEMA, type TaskRecord } from "./task-record.ts";

type StoredRecord = Readonly<Record<string, unknown>> & { readonly schema: number };

/** Each step leads from one version of the record to the next, beginning with version 1. */
const STEPS: readonly ((record: StoredRecord) => StoredRecord)[] = [
  /** Version 2: playlists and pauses that outlive a worker; takeovers while the older task still plays. */
  ({ progress, replaces, preferWorkerId: _unused, ...record }) => ({
    ...record,
    schema: 2,
    paused: false,
    replaces: replaces === null ? [] : [replaces],
    successor: null,
    // SAFETY: version 1 stored an object or null.
    progress: progress === null ? null : { item: 0, ...(progress as object) },
  }),
  /** Version 3: whether other tasks were asked for the seat; they may have been. */
  (record) => ({ ...record, schema: 3, seat: "asked" }),
  /** Version 4: the worker of each attempt; only the last one is known. */
  ({ lastWorkerId, ...record }) => {
    // SAFETY: every version stored a state.
    const state = record["state"] as TaskState;
    const { name, attempt } = state;
    // A task that has ended may have ended in the queue, after its worker's attempt.
    const attempts = isActive(state) ? [attempt] : name === "queued" ? [attempt - 1] : [attempt - 1, attempt];
    const holders = lastWorkerId === null ? [] : attempts.map((of) => ({ attempt: of, workerId: lastWorkerId }));
    return { ...record, schema: 4, lastWorkerId, holders };
  },
];

/** Returns a task's record in this version's form, from the record of any older version. Pure. */
export function upgradeRecord(stored: StoredRecord): TaskRecord {
  const record = STEPS.slice(stored.schema - 1).reduce((before, step) => step(before), stored);
  if (record.schema !== RECORD_SCHEMA) throw new Error(`A task's record of version ${stored.schema} is not known.`);
  // SAFETY: the steps lead to a record of this version.
  return record as unknown as TaskRecord;
}
