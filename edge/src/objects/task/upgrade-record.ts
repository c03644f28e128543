import { isActive, type TaskState } from "@roomcast/shared";
import { RECORD_SCHEMA, type TaskRecord } from "./task-record.ts";

type StoredRecord = Readonly<Record<string, unknown>> & { readonly schema: number };

/** Each leads from one version of the record to the next, beginning with 1. */
const STEPS: readonly ((record: StoredRecord) => StoredRecord)[] = [
  /** 2: playlists and pauses that outlive a worker; takeovers while the older task plays on. */
  ({ progress, replaces, preferWorkerId: _unused, ...record }) => ({
    ...record,
    schema: 2,
    paused: false,
    replaces: replaces === null ? [] : [replaces],
    successor: null,
    // SAFETY: version 1 stored an object or null.
    progress: progress === null ? null : { item: 0, ...(progress as object) },
  }),
  /** 3: whether others were asked for the seat; they may have been. */
  (record) => ({ ...record, schema: 3, seat: "asked" }),
  /** 4: who had which attempt; known of the last one only. */
  ({ lastWorkerId, ...record }) => {
    // SAFETY: every version stored a state.
    const state = record["state"] as TaskState;
    const { name, attempt } = state;
    // One that has ended may have ended in the queue, after its worker's attempt.
    const attempts = isActive(state) ? [attempt] : name === "queued" ? [attempt - 1] : [attempt - 1, attempt];
    const holders = lastWorkerId === null ? [] : attempts.map((of) => ({ attempt: of, workerId: lastWorkerId }));
    return { ...record, schema: 4, lastWorkerId, holders };
  },
];

/** A task's record as this version of the code knows it, from whatever an older one has stored. Pure. */
export function upgradeRecord(stored: StoredRecord): TaskRecord {
  const record = STEPS.slice(stored.schema - 1).reduce((before, step) => step(before), stored);
  if (record.schema !== RECORD_SCHEMA) throw new Error(`A task's record of version ${stored.schema} is not known.`);
  // SAFETY: what the steps lead to is a record of this version.
  return record as unknown as TaskRecord;
}
