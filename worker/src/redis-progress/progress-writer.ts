import type { Logger } from "pino";
import { RepeatedError } from "../base/repeated-error.ts";
import { FENCED_WRITE, fencedWriteArguments } from "./progress-fence.ts";
import { type ProgressValues, type RecordOwner, recordFields } from "./progress-record.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { isElsewhere } from "./redis-error.ts";

export interface ProgressWriterOptions {
  readonly connection: RedisConnection;
  readonly intervalMs: number;
  readonly nowMs: () => number;
}

export interface WriteSlotOptions {
  readonly owner: RecordOwner;
  readonly key: string;
  /** Returns the values to write now. */
  readonly read: () => ProgressValues;
  readonly log: Logger;
}

/** One task's entry in the writer. */
export interface WriteSlot extends WriteSlotOptions {
  /** Resolves once the values of `last` were written, the record belongs to another push, or the slot was closed. */
  readonly settled: Promise<void>;
  /** The final values, set at the end of the task. */
  last: ProgressValues | undefined;
  close(): void;
}

/** Writes the progress of all tasks that share a connection once per interval, in one pipeline. */
export class ProgressWriter {
  readonly #options: ProgressWriterOptions;
  readonly #slots = new Set<Slot>();
  readonly #timer: NodeJS.Timeout;
  #flushing: Promise<void> | undefined;

  constructor(options: ProgressWriterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), options.intervalMs);
  }

  /** Starts to write a task's progress. The first write claims the record. */
  open(options: WriteSlotOptions): WriteSlot {
    const slot = new Slot(options, () => this.#slots.delete(slot));
    this.#slots.add(slot);
    void this.flush();
    return slot;
  }

  /** Writes the current values. If that fails, the newest values are written later. */
  async flush(): Promise<void> {
    this.#flushing ??= this.#flushOnce().finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (const slot of this.#slots) slot.close();
    await this.#flushing;
  }

  async #flushOnce(): Promise<void> {
    const { connection, nowMs } = this.#options;
    const slots = [...this.#slots];
    const { client } = connection;
    if (client === undefined) {
      for (const slot of slots) slot.missed(connection.lastError);
      return;
    }
    if (slots.length === 0) return;
    const pipeline = client.pipeline();
    const isLast = new Map<Slot, boolean>();
    for (const slot of slots) {
      isLast.set(slot, slot.last !== undefined);
      pipeline.call("EVAL", FENCED_WRITE, ...slot.write(nowMs()));
    }
    try {
      const replies = (await pipeline.exec()) ?? [];
      for (const [index, slot] of slots.entries()) {
        const [error, reply] = replies[index] ?? [new Error("no reply")];
        if (error === null) slot.answered(reply === 1, isLast.get(slot) === true);
        else slot.missed(connection.explained(error));
      }
      // A connection on which an answer is late may be half-open, or the server may no longer be the right one, so the
      // connection is made again.
      const elsewhere = replies.find(([error]) => isElsewhere(error))?.[0];
      if (elsewhere !== undefined) connection.reset(connection.explained(elsewhere));
    } catch (error) {
      for (const slot of slots) slot.missed(connection.explained(error));
    }
  }
}

class Slot implements WriteSlot {
  readonly owner: RecordOwner;
  readonly key: string;
  readonly read: () => ProgressValues;
  readonly log: Logger;
  last: ProgressValues | undefined;
  readonly #settled = Promise.withResolvers<void>();
  readonly #remove: () => void;
  readonly #failures: RepeatedError;
  #claimed = false;

  constructor(options: WriteSlotOptions, remove: () => void) {
    this.owner = options.owner;
    this.key = options.key;
    this.read = options.read;
    this.log = options.log;
    this.#remove = remove;
    this.#failures = new RepeatedError(options.log, {
      first: "progress cannot be written to Redis; the push goes on, and the newest is written once Redis is back",
      over: "progress is written to Redis again",
    });
  }

  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  write(nowMs: number): string[] {
    const { taskId, attempt } = this.owner;
    const fields = recordFields(this.owner, this.last ?? this.read(), nowMs);
    const mode = this.#claimed ? "write" : "claim";
    return fencedWriteArguments({ key: this.key, mode, taskId, attempt, nowMs, fields });
  }

  answered(written: boolean, wasLast: boolean): void {
    this.#failures.over();
    this.#claimed = true;
    if (!written) {
      this.log.warn("a newer push of the same source has taken over its progress record; this one writes no more");
    }
    if (!written || wasLast) this.close();
  }

  missed(error: unknown): void {
    this.#failures.happened(error);
  }

  close(): void {
    this.#remove();
    this.#settled.resolve();
  }
}
