import { type ErrorBody, isTerminal, type SkippedItems, type TaskState, type TaskStateName } from "@roomcast/shared";

/** The part of a task's record that its callbacks report. */
export interface ToldTask {
  readonly taskId: string;
  readonly request: { readonly SdkAppId: number };
  readonly state: TaskState;
  readonly progress: { readonly positionMs: number } | null;
  /** The items of the playlist that an attempt has passed over; absent if there are none. */
  readonly skipped?: SkippedItems & { readonly attempt: number };
  /** The time at which the worker last sent something about this task, Unix ms. */
  readonly heardAtMs: number;
}

/** A callback in the form of TRTC's own input-online-media-stream API. */
export interface TrtcEvent {
  readonly kind: "trtc";
  readonly atMs: number;
  /** 701 means that the push has started, and 702 that it has stopped. */
  readonly type: 701 | 702;
  /**
   * For 701: 0 if the push has started, 1 if it could not be started, 2 if it has started again. For 702: 0. Tencent's
   * own robot sends 1 before it tries again; here 1 is sent once, when the push has failed.
   */
  readonly status: 0 | 1 | 2;
}

/** A change of a task's state, for receivers that ask for all events. */
export interface TaskStateEvent {
  readonly kind: "task";
  readonly atMs: number;
  /** Counts a task's events from 1, so that a receiver recognizes an event that comes twice. */
  readonly seq: number;
  readonly state: TaskStateName;
  readonly attempt: number;
  readonly positionMs: number | null;
  readonly error: ErrorBody | null;
  readonly reason: string | null;
}

/** The event that items of a playlist were passed over, for receivers that ask for all events. */
export interface TaskItemEvent {
  readonly kind: "item";
  readonly atMs: number;
  readonly seq: number;
  readonly attempt: number;
  /** The index of the last item that was passed over, from 0. */
  readonly item: number;
  /** The number of items that the attempt has passed over so far. */
  readonly count: number;
  readonly error: ErrorBody;
}

export type CallbackEvent = TrtcEvent | TaskStateEvent | TaskItemEvent;

/** The part of a task's history that has been reported so far. The next events of the task depend on it. */
export interface Story {
  /** The state and the attempt that the last event was made for; null if there was no event. */
  readonly last: Pick<TaskState, "name" | "attempt"> | null;
  /** True if a 701 has reported that the push started. */
  readonly started: boolean;
  /** True if the push has been queued or reconnecting since it was last in the room. */
  readonly interrupted: boolean;
  readonly seq: number;
  /** The last report of items that were passed over; absent if there was none. */
  readonly skipped?: { readonly attempt: number; readonly count: number };
}

export const BEGINNING: Story = { last: null, started: false, interrupted: false, seq: 0 };

export interface Told {
  readonly story: Story;
  readonly events: readonly CallbackEvent[];
}

/**
 * Returns the events that a new record of a task causes, and the story after them. The story is the same object if nothing has
 * changed in it. Pure.
 */
export function tell(before: Story, after: ToldTask, wanted: "trtc" | "all"): Told {
  const { story, events: items } = tellOfItems(before, after, wanted);
  const told = tellOfState(story, after, wanted);
  return { story: told.story, events: [...items, ...told.events] };
}

function tellOfItems(story: Story, { skipped, heardAtMs }: ToldTask, wanted: "trtc" | "all"): Told {
  const known = story.skipped;
  if (wanted !== "all" || skipped === undefined) return { story, events: [] };
  const { attempt, count, item, error } = skipped;
  if (known?.attempt === attempt && known.count >= count) return { story, events: [] };
  const seq = story.seq + 1;
  const event = { kind: "item", atMs: heardAtMs, seq, attempt, item, count, error } as const;
  return { story: { ...story, seq, skipped: { attempt, count } }, events: [event] };
}

function tellOfState(story: Story, after: ToldTask, wanted: "trtc" | "all"): Told {
  const { state } = after;
  const { name, attempt } = state;
  if (story.last?.name === name && story.last.attempt === attempt) return { story, events: [] };
  const trtc = trtcStatus(story, after);
  const seq = wanted === "all" ? story.seq + 1 : story.seq;
  const events: CallbackEvent[] = [];
  if (wanted === "all") events.push(stateEvent(after, seq));
  if (trtc !== null) events.push({ kind: "trtc", atMs: state.sinceMs, ...trtc });
  const pushing = name === "pushing";
  const away = name === "queued" || name === "reconnecting";
  const started = story.started || pushing;
  const interrupted = !pushing && (story.interrupted || away);
  return { story: { ...story, last: { name, attempt }, started, interrupted, seq }, events };
}

function trtcStatus(story: Story, { state }: ToldTask): Pick<TrtcEvent, "type" | "status"> | null {
  if (state.name === "pushing") {
    if (!story.started) return { type: 701, status: 0 };
    return story.interrupted ? { type: 701, status: 2 } : null;
  }
  if (!isTerminal(state)) return null;
  return state.name === "failed" && !story.started ? { type: 701, status: 1 } : { type: 702, status: 0 };
}

function stateEvent({ state, progress }: ToldTask, seq: number): TaskStateEvent {
  return {
    kind: "task",
    atMs: state.sinceMs,
    seq,
    state: state.name,
    attempt: state.attempt,
    positionMs: progress?.positionMs ?? null,
    error: state.name === "failed" ? state.error : null,
    reason: state.name === "aborted" ? state.reason : null,
  };
}
