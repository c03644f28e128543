import type { AcceptedPush, UserSeat } from "../../contracts/directory-object.ts";

/** A task that was accepted and that its Task object does not have yet. */
export interface AcceptedTask {
  readonly taskId: string;
  readonly seatKey: string;
  readonly region: string;
  /** Unix ms. */
  readonly atMs: number;
  /** Before then it takes no place, Unix ms; 0: it may at once. */
  readonly startsAtMs: number;
  /** The task that held the seat before. */
  readonly holder: string | null;
  /** That one and those before it that have not ended, the newest first. */
  readonly replaces: readonly string[];
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | null;
  /** Tasks that push as the same user in other rooms; none or not said: it has not been looked for them. */
  readonly elsewhere?: readonly UserSeat[];
}

export interface WaitingTask extends AcceptedTask {
  readonly seq: number;
}

/** What a push asks for that another one may have. */
interface Claim {
  readonly seatKey: string;
  readonly idempotency: { readonly key: string } | null;
}

/** Adds a task, with its `AcceptedPush` as JSON. */
export type AddAccepted = (accepted: AcceptedTask, push: string) => void;

const FILED_KEY = "filed";
/** A statement takes 100 values, and a row has three. */
const ROWS_PER_INSERT = 32;

/**
 * Tasks that wait for their objects, in the order of their coming: in SQLite, with a copy in memory of all but their
 * pushes. A row is only appended when a task is accepted, because each index of a table costs as much again. The tables
 * that are searched are written later, for many tasks at once: what was accepted after `filed` is not in them yet.
 */
export class AcceptedTasks {
  readonly #storage: DurableObjectStorage;
  readonly #byId = new Map<string, WaitingTask>();
  readonly #bySeat = new Map<string, WaitingTask[]>();
  readonly #unfiledKeys = new Map<string, WaitingTask>();
  /** By user, then by seat, the newest of each. */
  readonly #unfiledUsers = new Map<string, Map<string, WaitingTask>>();
  /** Rows that were added and stand in no table yet: seq, body, push. */
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
   * Runs what adds tasks as one transaction, with the rows of all of them written at its end: a statement for each costs
   * more than the row. Where it throws, and so is undone, what is known in memory is undone too.
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

  /** The oldest first; they may be removed while the caller goes through them. */
  [Symbol.iterator](): MapIterator<WaitingTask> {
    return this.#byId.values();
  }

  /** Those of a seat, the oldest first. */
  ofSeat(seatKey: string): WaitingTask[] {
    return [...(this.#bySeat.get(seatKey) ?? [])];
  }

  /** Whether a push asks for what a task has that is not in the tables which are searched yet. */
  hasUnfiled({ seatKey, idempotency }: Claim): boolean {
    const newest = this.#bySeat.get(seatKey)?.at(-1);
    const isSeatUsed = newest !== undefined && newest.seq > this.#filedSeq;
    return isSeatUsed || (idempotency !== null && this.#unfiledKeys.has(idempotency.key));
  }

  /** Seats of a user that are not in the tables which are searched, in the order of their coming. */
  unfiledOfUser(userId: string): IteratorObject<UserSeat> {
    return (this.#unfiledUsers.get(userId) ?? new Map<string, WaitingTask>()).values();
  }

  /** Those, up to this one, that are not in the tables which are searched; in the order of their coming. */
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

  /** What a task that waits here is to do. */
  pushOf({ seq }: WaitingTask): AcceptedPush {
    const { push } = this.#storage.sql.exec<{ push: string }>("SELECT push FROM accepted WHERE seq = ?", seq).one();
    // SAFETY: the edge that accepted it wrote it.
    return JSON.parse(push) as AcceptedPush;
  }

  /** All up to this one stand in the tables which are searched; written in the same transaction as those. */
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

  /** Its object has the task, or it was deleted. */
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

/** The part of a seat's key that names its user. */
function userOf(seatKey: string): string {
  return seatKey.slice(seatKey.lastIndexOf("/") + 1);
}
