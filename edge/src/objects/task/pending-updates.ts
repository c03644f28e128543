import type { ErrorBody } from "@roomcast/shared";

/** A change that a worker has been asked to make. */
export interface PendingUpdate {
  readonly attempt: number;
  /** The change, sealed: it may hold URLs with secrets. */
  readonly sealedChange: string;
  /** Unix ms; absent if an older edge wrote it. */
  readonly askedAtMs?: number;
}

/** A change without an answer counts as lost after this; it is longer than a worker may take to open a source. */
const FORGOTTEN_AFTER_MS = 120_000;

const PREFIX = "update:";

/**
 * Changes that a worker has not answered yet. They are stored, so that an answer that comes late, or after the object was
 * evicted, is still written into the task. The callers that wait for an answer are known in memory only.
 */
export class PendingUpdates {
  readonly #kv: SyncKvStorage;
  readonly #callers = new Map<string, (error: ErrorBody | null) => void>();

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Returns how many changes may still be answered, and forgets the ones that were lost. */
  count(nowMs: number): number {
    let count = 0;
    for (const [key, { askedAtMs = 0 }] of Array.from(this.#kv.list<PendingUpdate>({ prefix: PREFIX }))) {
      if (nowMs - askedAtMs < FORGOTTEN_AFTER_MS) count += 1;
      else this.#kv.delete(key);
    }
    return count;
  }

  /** Notes a change; resolves with the worker's error, with null when it is done, or with `late` after the time-out. */
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

  /** The change is answered, and the changed request is written. */
  settle(updateId: string, error: ErrorBody | null): void {
    this.#kv.delete(PREFIX + updateId);
    this.#answer(updateId, error);
  }

  /** The attempt that was asked is over: no answer will come. */
  settleAll(error: ErrorBody): void {
    // The list is complete before the first deletion, because deleting would disturb the iteration.
    const updateIds = Array.from(this.#kv.list({ prefix: PREFIX }), ([key]) => key.slice(PREFIX.length));
    for (const updateId of updateIds) this.settle(updateId, error);
  }

  #answer(updateId: string, error: ErrorBody | null): void {
    this.#callers.get(updateId)?.(error);
    this.#callers.delete(updateId);
  }
}
