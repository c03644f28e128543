import { isTerminal } from "@roomcast/shared";
import type { Config } from "../base/config.ts";
import type { CallbackTarget } from "../model/callback-target.ts";
import { BEGINNING, type CallbackEvent, type Story, type ToldTask, tell } from "./callback-event.ts";

export interface QueuedEvent {
  readonly id: number;
  readonly event: CallbackEvent;
}

/** The events that a task still has to send, as they are stored. Times are Unix ms. */
export interface Outbox {
  readonly schema: 1;
  readonly target: CallbackTarget;
  readonly story: Story;
  /** The oldest first. The events are sent one after another. */
  readonly queue: readonly QueuedEvent[];
  readonly nextId: number;
  /**
   * The number of tries of the first event in the queue, the time of the first of these tries, and the time at which the event
   * is due.
   */
  readonly tries: number;
  readonly firstTryAtMs: number | null;
  readonly dueAtMs: number;
  /** True if the task has ended, after which no further events are queued. */
  readonly ended: boolean;
}

export type RetryPolicy = Pick<Config, "callbackTimeoutMs" | "callbackRetryMs" | "callbackGiveUpMs">;

/**
 * The largest number of queued events, so that a receiver that is down cannot make the storage of a task grow. If there are
 * more, the oldest ones are dropped, except for the first, which may be being sent.
 */
export const MAX_QUEUED = 100;
/** The time after the time-out of a try at which the event is sent again if the object died while it was sending. */
const LEASE_MARGIN_MS = 1000;

export function newOutbox(target: CallbackTarget): Outbox {
  return {
    schema: 1,
    target,
    story: BEGINNING,
    queue: [],
    nextId: 1,
    tries: 0,
    firstTryAtMs: null,
    dueAtMs: 0,
    ended: false,
  };
}

/** Returns the outbox after a change of the task's record; the same object if the change causes no event. Pure. */
export function enqueued(outbox: Outbox, after: ToldTask): Outbox {
  if (outbox.ended) return outbox;
  const { story, events } = tell(outbox.story, after, outbox.target.events);
  const ended = isTerminal(after.state);
  if (story === outbox.story && !ended) return outbox;
  const added = events.map((event, index) => ({ id: outbox.nextId + index, event }));
  return {
    ...outbox,
    story,
    ended,
    queue: bounded([...outbox.queue, ...added]),
    nextId: outbox.nextId + added.length,
  };
}

function bounded(queue: readonly QueuedEvent[]): readonly QueuedEvent[] {
  const [first, ...rest] = queue;
  return first === undefined || queue.length <= MAX_QUEUED ? queue : [first, ...rest.slice(1 - MAX_QUEUED)];
}

/** Returns when the next event is due, Unix ms; null if the queue is empty. Pure. */
export function nextSendAtMs({ queue, dueAtMs }: Outbox): number | null {
  return queue.length === 0 ? null : dueAtMs;
}

/** Returns the outbox in the form that is stored while its first event is being sent. Pure. */
export function trying(outbox: Outbox, nowMs: number, policy: RetryPolicy): Outbox {
  return {
    ...outbox,
    tries: outbox.tries + 1,
    firstTryAtMs: outbox.firstTryAtMs ?? nowMs,
    dueAtMs: nowMs + policy.callbackTimeoutMs + LEASE_MARGIN_MS,
  };
}

/** Returns the outbox without its first event, if that is still the event with this id. Pure. */
export function without(outbox: Outbox, id: number): Outbox {
  if (outbox.queue[0]?.id !== id) return outbox;
  return { ...outbox, queue: outbox.queue.slice(1), tries: 0, firstTryAtMs: null, dueAtMs: 0 };
}

/**
 * Returns the outbox with an empty queue, for events that have no receiver. The tries of later events are counted from the
 * beginning. Pure.
 */
export function emptied(outbox: Outbox): Outbox {
  return { ...outbox, queue: [], tries: 0, firstTryAtMs: null, dueAtMs: 0 };
}

/** Returns when to retry after a failed try: at once after the first, then at intervals; null if the time for retries is over. Pure. */
export function retryAtMs(outbox: Outbox, nowMs: number, policy: RetryPolicy): number | null {
  if (outbox.tries <= 1) return nowMs;
  const nextAtMs = nowMs + policy.callbackRetryMs;
  return nextAtMs > (outbox.firstTryAtMs ?? nowMs) + policy.callbackGiveUpMs ? null : nextAtMs;
}
