import { isActive, type TaskState } from "@roomcast/shared";
import { RECORD_SCHEMA, type TaskRecord } from "./task-record.ts";

type StoredRecord = Readonly<Record<string, unknown>> & { readonly schema: number };

/** The steps that convert a record from one version to the next. The first step converts version 1. */
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
  /**
   * Version 3: the record says whether other tasks were asked for the seat. An older record does not say so, so they
   * count as asked.
   */
  (record) => ({ ...record, schema: 3, seat: "asked" }),
  /** Version 4: the record names the worker of each attempt. Of an older record, only the last worker is known. */
  ({ lastWorkerId, ...record }) => {
    // SAFETY: every version stored a state.
    const state = record["state"] as TaskState;
    const { name, attempt } = state;
    // An ended task may have ended while it was queued. Its last worker then had the attempt before the last one.
    const attempts = isActive(state) ? [attempt] : name === "queued" ? [attempt - 1] : [attempt - 1, attempt];
    const holders = lastWorkerId === null ? [] : attempts.map((of) => ({ attempt: of, workerId: lastWorkerId }));
    return { ...record, schema: 4, lastWorkerId, holders };
  },
];

/** Returns a task's record in the form of this version, converted from any older version. Pure. */
export function upgradeRecord(stored: StoredRecord): TaskRecord {
  const record = STEPS.slice(stored.schema - 1).reduce((before, step) => step(before), stored);
  if (record.schema !== RECORD_SCHEMA) throw new Error(`A task's record of version ${stored.schema} is not known.`);
  // SAFETY: the steps lead to a record of this version.
  return record as unknown as TaskRecord;
}
