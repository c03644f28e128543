import { readConfig } from "../base/config.ts";
import type { Env } from "../contracts/env.ts";
import type { CallbackTarget } from "../model/callback-target.ts";
import { callbackAddress } from "./callback-address.ts";
import { type CallbackTask, callbackBody } from "./callback-body.ts";
import type { CallbackEvent, ToldTask } from "./callback-event.ts";
import {
  emptied,
  enqueued,
  newOutbox,
  nextSendAtMs,
  type Outbox,
  type QueuedEvent,
  retryAtMs,
  trying,
  without,
} from "./outbox.ts";
import { type Sent, sendCallback } from "./send-callback.ts";

const STORED_AS = "callbacks";

/** The parts of a task that its callbacks need. */
interface Parts {
  readonly ctx: DurableObjectState;
  readonly env: Env;
  /** Sets the task's one alarm to the next time at which something is due. */
  readonly schedule: () => Promise<void>;
  /** Adds a warning to the task's log. */
  readonly warn: (message: string) => void;
}

/**
 * A task's callbacks. Events are stored together with the change that they report. They are sent one after another, each at
 * least once. callback-event.ts and outbox.ts decide what is sent and when.
 */
export class TaskCallbacks {
  readonly #parts: Parts;
  #outbox: Outbox | undefined;
  #sending = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#outbox = parts.ctx.storage.kv.get<Outbox>(STORED_AS);
  }

  /** Called before the new task's record is written. */
  create(target: CallbackTarget): void {
    this.#put(newOutbox(target));
  }

  /** Called with each write of the record. */
  record(after: ToldTask): void {
    if (this.#outbox === undefined) return;
    const next = enqueued(this.#outbox, after);
    if (next !== this.#outbox) this.#put(next);
  }

  /** The time at which the task's alarm must fire for a callback, Unix ms; infinity if no event is queued. */
  get nextAtMs(): number {
    return (this.#outbox && nextSendAtMs(this.#outbox)) ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Starts to send the first event if it is due. The task does not wait for the result, because a slow receiver must not delay
   * the task's deadlines.
   */
  send(record: ToldTask): void {
    this.#send({ taskId: record.taskId, sdkAppId: record.request.SdkAppId });
  }

  #send(task: CallbackTask): void {
    const outbox = this.#outbox;
    const [first] = outbox?.queue ?? [];
    if (outbox === undefined || first === undefined || this.#sending || outbox.dueAtMs > Date.now()) return;
    this.#sending = true;
    this.#put(trying(outbox, Date.now(), readConfig(this.#parts.env)));
    this.#parts.ctx.waitUntil(this.#try(first, task));
  }

  /** Called when the task is deleted. Nothing is sent after that. */
  drop(): void {
    this.#outbox = undefined;
  }

  async #try(queued: QueuedEvent, task: CallbackTask): Promise<void> {
    try {
      const sent = await this.#post(queued, task);
      this.#sending = false;
      if (sent === "nowhere") this.#forgetAll();
      else this.#concluded(queued, sent);
      // The next event, or the first retry, is sent now instead of at the next alarm.
      this.#send(task);
      await this.#parts.schedule();
    } catch (thrown) {
      this.#sending = false;
      console.error("callback not sent", { taskId: task.taskId, thrown: String(thrown) });
    }
  }

  async #post({ event }: QueuedEvent, task: CallbackTask): Promise<Sent | "nowhere"> {
    const { env } = this.#parts;
    const target = this.#outbox?.target;
    if (target === undefined) return "nowhere";
    const policy = readConfig(env);
    try {
      const address = await callbackAddress(env, target, task);
      if (address === null) return "nowhere";
      if (address.resealed !== null) this.#reseal(address.resealed);
      const body = callbackBody(event, task, Date.now());
      return await sendCallback({ ...address, sdkAppId: task.sdkAppId, body, policy });
    } catch (thrown) {
      console.error("callback has no address", { taskId: task.taskId, thrown: String(thrown) });
      return { ok: false, why: "the edge could not find out where to send it" };
    }
  }

  #concluded({ id, event }: QueuedEvent, sent: Sent): void {
    const outbox = this.#outbox;
    if (outbox === undefined) return;
    if (sent.ok) return this.#put(without(outbox, id));
    const againAtMs = retryAtMs(outbox, Date.now(), readConfig(this.#parts.env));
    if (againAtMs !== null) return this.#put({ ...outbox, dueAtMs: againAtMs });
    const name = nameOf(event);
    this.#parts.warn(`The callback ${name} was given up after ${outbox.tries} tries: ${sent.why}.`);
    this.#put(without(outbox, id));
  }

  /** Stores the address sealed with the newest key, so that an operator can remove the older key. */
  #reseal(sealed: string): void {
    const outbox = this.#outbox;
    if (outbox?.target.kind === "request") this.#put({ ...outbox, target: { ...outbox.target, sealed } });
  }

  #forgetAll(): void {
    if (this.#outbox !== undefined) this.#put(emptied(this.#outbox));
  }

  #put(outbox: Outbox): void {
    const { kv } = this.#parts.ctx.storage;
    if (outbox.ended && outbox.queue.length === 0) {
      // The outbox is deleted, because it holds the callback's URL and key, which are secrets that are no longer needed.
      this.#outbox = undefined;
      kv.delete(STORED_AS);
      return;
    }
    this.#outbox = outbox;
    kv.put(STORED_AS, outbox);
  }
}

function nameOf(event: CallbackEvent): string {
  if (event.kind === "trtc") return String(event.type);
  return event.kind === "item" ? `task.item ${event.seq}` : `task.state ${event.seq} (${event.state})`;
}
