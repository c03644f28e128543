import { createHash } from "node:crypto";
import { type PushRequest, redisAddress } from "@roomcast/shared";
import type { Logger } from "pino";
import { settledWithin } from "../base/settled-within.ts";
import { FENCED_WRITE, fencedWriteArguments } from "./progress-fence.ts";
import { type ProgressRecord, type ProgressValues, progressKey, readRecord } from "./progress-record.ts";
import { ProgressWriter, type WriteSlot } from "./progress-writer.ts";
import { RedisConnection } from "./redis-connection.ts";
import { type RedisTarget, redisError } from "./redis-error.ts";

export interface ProgressStoreOptions {
  readonly resolve: (hostname: string) => Promise<{ readonly address: string }>;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  /** The longest time that the end of a task waits for its last write, ms. */
  readonly flushTimeoutMs?: number;
  /** The longest time for which the last write is tried after the task has ended, ms. */
  readonly lingerMs?: number;
  readonly nowMs?: () => number;
}

export interface OpenProgressOptions {
  readonly taskId: string;
  readonly attempt: number;
  /** A request whose `Redis` is true. */
  readonly request: PushRequest;
  readonly log: Logger;
}

/** One task's record. */
export interface TaskProgress {
  /** The record of an earlier push of the same source, or null if there is none. */
  readonly found: ProgressRecord | null;
  /** Claims the record and writes the values of `read` once per interval until the end. */
  track(read: () => ProgressValues): void;
  /** Writes the last values if the record was tracked, and ends tracking. The wait is limited. Idempotent. */
  close(last: ProgressValues): Promise<void>;
}

interface Shared {
  readonly connection: RedisConnection;
  readonly writer: ProgressWriter;
  users: number;
}

/** The progress of all tasks of this process. Tasks that use the same Redis share one connection. */
export class ProgressStore {
  readonly #options: ProgressStoreOptions;
  readonly #shared = new Map<string, Shared>();
  readonly #closing = new Set<Promise<void>>();

  constructor(options: ProgressStoreOptions) {
    this.#options = options;
  }

  /** The current number of Redis connections. */
  get connections(): number {
    return this.#shared.size;
  }

  /**
   * Connects to the request's Redis, reads the source's record and checks that it can be written.
   *
   * @throws RoomcastError `FailedOperation.RedisUnreachable` or `FailedOperation.RedisRefused`.
   */
  async open(options: OpenProgressOptions): Promise<TaskProgress> {
    const { request, taskId, attempt, log } = options;
    const target = targetOf(request);
    const key = progressKey(request);
    const id = targetId(target);
    const shared = this.#acquire(id, target);
    let found: ProgressRecord | null;
    try {
      const client = await shared.connection.connected();
      found = readRecord(await client.hgetall(key));
      const nowMs = (this.#options.nowMs ?? Date.now)();
      const probe = fencedWriteArguments({ key, mode: "probe", taskId, attempt, nowMs, fields: [] });
      await client.call("EVAL", FENCED_WRITE, ...probe);
    } catch (error) {
      await this.#release(id, shared);
      throw redisError(error, target);
    }
    let slot: WriteSlot | undefined;
    let closing: Promise<void> | undefined;
    const close = async (last: ProgressValues): Promise<void> => {
      if (slot !== undefined) {
        slot.last = last;
        const written = slot.settled;
        // The second flush is needed, because a write in progress may have read an older value.
        const flushed = shared.writer.flush().then(() => shared.writer.flush());
        await settledWithin(flushed, this.#options.flushTimeoutMs ?? 2_000);
        this.#later(this.#linger(written, slot, id, shared));
      } else {
        await this.#release(id, shared);
      }
    };
    return {
      found,
      track: (read) => {
        slot ??= shared.writer.open({ owner: { request, taskId, attempt }, key, read, log });
      },
      close: (last) => (closing ??= close(last)),
    };
  }

  /** Closes every connection. Values that were not written yet are lost. */
  async stop(): Promise<void> {
    await Promise.all([...this.#shared.values()].map((shared) => stopShared(shared)));
    this.#shared.clear();
    await Promise.all(this.#closing);
  }

  /** Tries the last write of an ended task for a limited time. */
  async #linger(written: Promise<void>, slot: WriteSlot, id: string, shared: Shared): Promise<void> {
    await settledWithin(written, this.#options.lingerMs ?? 60_000);
    slot.close();
    await this.#release(id, shared);
  }

  #later(work: Promise<void>): void {
    const tracked = work.finally(() => this.#closing.delete(tracked));
    this.#closing.add(tracked);
  }

  #acquire(id: string, target: RedisTarget): Shared {
    const existing = this.#shared.get(id);
    if (existing !== undefined) {
      existing.users += 1;
      return existing;
    }
    const { resolve, timeoutMs } = this.#options;
    const connection = new RedisConnection({ target, resolve, timeoutMs });
    const writer = new ProgressWriter({
      connection,
      intervalMs: this.#options.intervalMs ?? 1_000,
      nowMs: this.#options.nowMs ?? Date.now,
    });
    const shared = { connection, writer, users: 1 };
    this.#shared.set(id, shared);
    return shared;
  }

  async #release(id: string, shared: Shared): Promise<void> {
    shared.users -= 1;
    if (shared.users > 0) return;
    if (this.#shared.get(id) === shared) this.#shared.delete(id);
    await stopShared(shared);
  }
}

async function stopShared(shared: Shared): Promise<void> {
  await shared.writer.stop();
  await shared.connection.stop();
}

function targetOf(request: PushRequest): RedisTarget {
  const { RedisUser: user = "", RedisPassword: password = "", RedisDb: db = 0 } = request;
  return { ...redisAddress(request), user, password, db };
}

/**
 * Returns a key for the connection. Connections with different passwords differ, but the key is hashed so that it does
 * not contain the password.
 */
function targetId({ host, port, tls, user, password, db }: RedisTarget): string {
  return createHash("sha256")
    .update(JSON.stringify([host, port, tls, user, password, db]))
    .digest("hex");
}
