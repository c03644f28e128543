import type { AcceptedPush, UserSeat } from "../../contracts/directory-object.ts";

/** A task that was accepted and does not have its Task object yet. */
export interface AcceptedTask {
  readonly taskId: string;
  readonly seatKey: string;
  readonly region: string;
  /** The time at which the task was accepted, Unix ms. */
  readonly atMs: number;
  /** The task is not placed before this time, Unix ms; 0 means that it may be placed at once. */
  readonly startsAtMs: number;
  /** The task that held the seat before; null if the seat was free. */
  readonly holder: string | null;
  /** The running tasks that this one replaces: the holder and its predecessors, newest first. */
  readonly replaces: readonly string[];
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | null;
  /** Tasks that push as the same user in other rooms. Absent if there are none or nobody asked for them. */
  readonly elsewhere?: readonly UserSeat[];
}

export interface WaitingTask extends AcceptedTask {
  readonly seq: number;
}

/** The seat and the idempotency key of a push. Another push may have taken either of them. */
interface Claim {
  readonly seatKey: string;
  readonly idempotency: { readonly key: string } | null;
}

/** Adds a task with its `AcceptedPush` as JSON. */
export type AddAccepted = (accepted: AcceptedTask, push: string) => void;

const FILED_KEY = "filed";
/** The number of rows that one statement inserts. A statement takes at most 100 values, and a row has three. */
const ROWS_PER_INSERT = 32;

/**
 * The tasks that wait for their objects, in the order of their arrival. They are in SQLite, with a copy in memory of
 * everything but their pushes. Accepting a task only appends a row, because each index of a table costs as much again.
 * The tables that are searched are written later, for many tasks at once. They contain the tasks up to the sequence
 * number `filed`; the tasks after it are called unfiled.
 */
export class AcceptedTasks {
  readonly #storage: DurableObjectStorage;
  readonly #byId = new Map<string, WaitingTask>();
  readonly #bySeat = new Map<string, WaitingTask[]>();
  readonly #unfiledKeys = new Map<string, WaitingTask>();
  /** The newest unfiled task of each seat, by user and then by seat. */
  readonly #unfiledUsers = new Map<string, Map<string, WaitingTask>>();
  /** Added rows that are not in a table yet: seq, body, push. */
  #unwritten: [number, string, string][] = [];
  #filedSeq = 0;
  #lastSeq = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#load();
  }

  #load(): void {
    this.#filedSeq = this.#storage.kv.get<number>(FILED_KEY) ?? 0;
    this.#lastSeq = this.#filedSeq;
    const rows = this.#storage.sql.exec<{ seq: number; body: string }>("SELECT seq, body FROM accepted ORDER BY seq");
    for (const { seq, body } of rows) {
      // SAFETY: `#add` wrote it.
      this.#remember({ ...(JSON.parse(body) as AcceptedTask), seq });
    }
  }

  /**
   * Runs a function that adds tasks, as one transaction. The rows of all tasks are written at its end, because a
   * statement for each row costs more than the row. If the function throws, the transaction is undone, and so is the
   * copy in memory.
   */
  transaction<Result>(addSome: (add: AddAccepted) => Result): Result {
    try {
      return this.#storage.transactionSync(() => {
        const result = addSome((accepted, push) => this.#add(accepted, push));
        this.#write();
        return result;
      });
    } catch (thrown) {
      this.#unwritten = [];
      for (const known of [this.#byId, this.#bySeat, this.#unfiledKeys, this.#unfiledUsers]) known.clear();
      this.#load();
      throw thrown;
    }
  }

  get size(): number {
    return this.#byId.size;
  }

  get(taskId: string): WaitingTask | undefined {
    return this.#byId.get(taskId);
  }

  /** Iterates over the tasks, oldest first. Tasks may be removed during the iteration. */
  [Symbol.iterator](): MapIterator<WaitingTask> {
    return this.#byId.values();
  }

  /** Returns the waiting tasks of a seat, oldest first. */
  ofSeat(seatKey: string): WaitingTask[] {
    return [...(this.#bySeat.get(seatKey) ?? [])];
  }

  /** Returns true if a task that is not in the searched tables yet has this push's seat or idempotency key. */
  hasUnfiled({ seatKey, idempotency }: Claim): boolean {
    const newest = this.#bySeat.get(seatKey)?.at(-1);
    const isSeatUsed = newest !== undefined && newest.seq > this.#filedSeq;
    return isSeatUsed || (idempotency !== null && this.#unfiledKeys.has(idempotency.key));
  }

  /** Returns a user's seats that are not in the searched tables yet, in the order of their arrival. */
  unfiledOfUser(userId: string): IteratorObject<UserSeat> {
    return (this.#unfiledUsers.get(userId) ?? new Map<string, WaitingTask>()).values();
  }

  /**
   * Returns the tasks, up to this sequence number, that are not in the searched tables yet, in the order of their
   * arrival.
   */
  unfiled(upToSeq: number): WaitingTask[] {
    const unfiled: WaitingTask[] = [];
    for (const waiting of this.#byId.values()) {
      if (waiting.seq > upToSeq) break;
      if (waiting.seq > this.#filedSeq) unfiled.push(waiting);
    }
    return unfiled;
  }

  #add(accepted: AcceptedTask, push: string): void {
    const seq = this.#lastSeq + 1;
    this.#unwritten.push([seq, JSON.stringify(accepted), push]);
    this.#remember({ ...accepted, seq });
  }

  #write(): void {
    while (this.#unwritten.length > 0) {
      const rows = this.#unwritten.splice(0, ROWS_PER_INSERT);
      const values = rows.map(() => "(?, ?, ?)").join(", ");
      this.#storage.sql.exec(`INSERT INTO accepted (seq, body, push) VALUES ${values}`, ...rows.flat());
    }
  }

  /** Returns the push of a waiting task. */
  pushOf({ seq }: WaitingTask): AcceptedPush {
    const { push } = this.#storage.sql.exec<{ push: string }>("SELECT push FROM accepted WHERE seq = ?", seq).one();
    // SAFETY: the edge wrote it when it accepted the task.
    return JSON.parse(push) as AcceptedPush;
  }

  /**
   * Records that the searched tables contain all tasks up to this sequence number. It must be called in the transaction
   * that writes those tables.
   */
  filed(upToSeq: number): void {
    for (const { seatKey, seq } of this.unfiled(upToSeq)) this.#forgetUserSeat(seatKey, seq);
    this.#storage.kv.put(FILED_KEY, upToSeq);
    this.#filedSeq = upToSeq;
    for (const [key, { seq }] of this.#unfiledKeys) if (seq <= this.#filedSeq) this.#unfiledKeys.delete(key);
  }

  #forgetUserSeat(seatKey: string, seq: number): void {
    const userId = userOf(seatKey);
    const seats = this.#unfiledUsers.get(userId);
    if (seats?.get(seatKey)?.seq !== seq) return;
    seats.delete(seatKey);
    if (seats.size === 0) this.#unfiledUsers.delete(userId);
  }

  /** Removes a task, because its object has it or because it was deleted. */
  remove(taskId: string): void {
    const known = this.#byId.get(taskId);
    if (known === undefined) return;
    this.#byId.delete(taskId);
    const ofSeat = this.#bySeat.get(known.seatKey);
    if (ofSeat?.length === 1) this.#bySeat.delete(known.seatKey);
    else ofSeat?.splice(ofSeat.indexOf(known), 1);
    this.#storage.sql.exec("DELETE FROM accepted WHERE seq = ?", known.seq);
  }

  #remember(waiting: WaitingTask): void {
    this.#byId.set(waiting.taskId, waiting);
    const ofSeat = this.#bySeat.get(waiting.seatKey);
    if (ofSeat === undefined) this.#bySeat.set(waiting.seatKey, [waiting]);
    else ofSeat.push(waiting);
    this.#lastSeq = Math.max(this.#lastSeq, waiting.seq);
    if (waiting.seq <= this.#filedSeq) return;
    if (waiting.idempotency !== null) this.#unfiledKeys.set(waiting.idempotency.key, waiting);
    const userId = userOf(waiting.seatKey);
    const ofUser = this.#unfiledUsers.get(userId) ?? new Map<string, WaitingTask>();
    this.#unfiledUsers.set(userId, ofUser.set(waiting.seatKey, waiting));
  }
}

/** Returns the part of a seat's key that names its user. */
function userOf(seatKey: string): string {
  return seatKey.slice(seatKey.lastIndexOf("/") + 1);
}
