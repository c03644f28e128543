import type { ErrorBody } from "@roomcast/shared";

/** A change that a worker has been asked to make. */
export interface PendingUpdate {
  readonly attempt: number;
  /** The change, sealed because it may hold URLs with secrets. */
  readonly sealedChange: string;
  /** The time of the question, Unix ms; absent if an older edge stored the change. */
  readonly askedAtMs?: number;
}

/**
 * A change that has no answer after this time counts as lost. The time is longer than a worker may take to open a
 * source.
 */
const FORGOTTEN_AFTER_MS = 120_000;

const PREFIX = "update:";

/**
 * The changes that a worker has not answered yet. They are stored, so that an answer still changes the task if it comes
 * late, or after the object was evicted. The callers that wait for an answer are known in memory only.
 */
export class PendingUpdates {
  readonly #kv: SyncKvStorage;
  readonly #callers = new Map<string, (error: ErrorBody | null) => void>();

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Returns the number of changes that may still be answered, and deletes those that count as lost. */
  count(nowMs: number): number {
    let count = 0;
    for (const [key, { askedAtMs = 0 }] of Array.from(this.#kv.list<PendingUpdate>({ prefix: PREFIX }))) {
      if (nowMs - askedAtMs < FORGOTTEN_AFTER_MS) count += 1;
      else this.#kv.delete(key);
    }
    return count;
  }

  /**
   * Stores a change. Resolves with the worker's error, with null if the change was made, or with `late` after the
   * time-out.
   */
  add(updateId: string, pending: PendingUpdate, timeout: { readonly ms: number; readonly late: ErrorBody }) {
    this.#kv.put(PREFIX + updateId, pending);
    const { promise, resolve } = Promise.withResolvers<ErrorBody | null>();
    const timer = setTimeout(() => this.#answer(updateId, timeout.late), timeout.ms);
    this.#callers.set(updateId, (error) => {
      clearTimeout(timer);
      resolve(error);
    });
    return promise;
  }

  get(updateId: string): PendingUpdate | undefined {
    return this.#kv.get<PendingUpdate>(PREFIX + updateId);
  }

  /**
   * Removes a change that has been answered or has failed, and gives the result to the caller that waits for it. If the
   * change was made, the changed request must already be stored.
   */
  settle(updateId: string, error: ErrorBody | null): void {
    this.#kv.delete(PREFIX + updateId);
    this.#answer(updateId, error);
  }

  /** Settles all changes with this error, because the attempt that was asked is over and will not answer. */
  settleAll(error: ErrorBody): void {
    // The keys are collected before the first deletion, because a deletion would disturb the iteration.
    const updateIds = Array.from(this.#kv.list({ prefix: PREFIX }), ([key]) => key.slice(PREFIX.length));
    for (const updateId of updateIds) this.settle(updateId, error);
  }

  #answer(updateId: string, error: ErrorBody | null): void {
    this.#callers.get(updateId)?.(error);
    this.#callers.delete(updateId);
  }
}
