import { isTerminal } from "@roomcast/shared";
import type { Config } from "../base/config.ts";
import type { CallbackTarget } from "../model/callback-target.ts";
import { BEGINNING, type CallbackEvent, type Story, type ToldTask, tell } from "./callback-event.ts";

export interface QueuedEvent {
  readonly id: number;
  readonly event: CallbackEvent;
}

/** The events that a task has still to send, as they are stored. Times are Unix ms. */
export interface Outbox {
  readonly schema: 1;
  readonly target: CallbackTarget;
  readonly story: Story;
  /** The oldest first; they are sent one after another. */
  readonly queue: readonly QueuedEvent[];
  readonly nextId: number;
  /** How often the first of the queue was tried, when first, and when it is due. */
  readonly tries: number;
  readonly firstTryAtMs: number | null;
  readonly dueAtMs: number;
  /** The task has ended: nothing comes after what is queued. */
  readonly ended: boolean;
}

export type RetryPolicy = Pick<Config, "callbackTimeoutMs" | "callbackRetryMs" | "callbackGiveUpMs">;

/** A receiver that is away may not make a task grow: beyond this, the oldest that is not being sent is left out. */
export const MAX_QUEUED = 100;
/** Should the object die while it sends, the try is made again so long after it should have ended. */
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

/** The outbox after the task's record has changed; the same object where that brings no event. Pure. */
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

/** When there is something to do, Unix ms; null: there is not. Pure. */
export function nextSendAtMs({ queue, dueAtMs }: Outbox): number | null {
  return queue.length === 0 ? null : dueAtMs;
}

/** The outbox while its first event is being sent. Pure. */
export function trying(outbox: Outbox, nowMs: number, policy: RetryPolicy): Outbox {
  return {
    ...outbox,
    tries: outbox.tries + 1,
    firstTryAtMs: outbox.firstTryAtMs ?? nowMs,
    dueAtMs: nowMs + policy.callbackTimeoutMs + LEASE_MARGIN_MS,
  };
}

/** The outbox without its first event, if that still is the one. Pure. */
export function without(outbox: Outbox, id: number): Outbox {
  if (outbox.queue[0]?.id !== id) return outbox;
  return { ...outbox, queue: outbox.queue.slice(1), tries: 0, firstTryAtMs: null, dueAtMs: 0 };
}

/** The outbox without all that it has to send: there is nowhere to send it. What comes later is tried from the first. Pure. */
export function emptied(outbox: Outbox): Outbox {
  return { ...outbox, queue: [], tries: 0, firstTryAtMs: null, dueAtMs: 0 };
}

/** When a try that failed is made again: at once, then at intervals; null: never, the time is over. Pure. */
export function retryAtMs(outbox: Outbox, nowMs: number, policy: RetryPolicy): number | null {
  if (outbox.tries <= 1) return nowMs;
  const nextAtMs = nowMs + policy.callbackRetryMs;
  return nextAtMs > (outbox.firstTryAtMs ?? nowMs) + policy.callbackGiveUpMs ? null : nextAtMs;
}
