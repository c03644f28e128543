import type { LogLine, TaskRef, WorkerFrameOf } from "@roomcast/shared";

type Ended = WorkerFrameOf<"ended">;
type Logs = WorkerFrameOf<"logs">;

/** The most log lines, of all tasks together, that are kept while the edge is unreachable. */
const MAX_LOG_LINES = 5_000;
/** The most lines per frame. Even 40 of the longest lines, with each character escaped, stay below the frame limit. */
const LINES_A_FRAME = 40;

interface TaskLogs {
  readonly ref: TaskRef;
  readonly lines: LogLine[];
}

function key(ref: TaskRef): string {
  return `${ref.taskId}/${ref.attempt}`;
}

/**
 * The messages that the edge has not received yet. An `ended` frame is kept until the edge acknowledges it, over any
 * number of sockets. Log lines are limited in number and sent once.
 */
export class Outbox {
  readonly #ended = new Map<string, Ended>();
  readonly #logs = new Map<string, TaskLogs>();
  #lineCount = 0;
  #droppedLines = 0;
  #delivered: PromiseWithResolvers<void> | undefined;
  /** Called with each new `ended`. The link is the only listener. */
  onEnded: ((frame: Ended) => void) | undefined;

  /** Every `ended` that was not acknowledged, oldest first. */
  get ended(): readonly Ended[] {
    return [...this.#ended.values()];
  }

  /** The number of log lines that were dropped because the edge was unreachable for too long. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Resolves when every `ended` is acknowledged. */
  async delivered(): Promise<void> {
    if (this.#ended.size === 0) return;
    this.#delivered ??= Promise.withResolvers<void>();
    await this.#delivered.promise;
  }

  endedOf(ref: TaskRef): Ended | undefined {
    return this.#ended.get(key(ref));
  }

  addEnded(frame: Ended): void {
    // The edge cares only about the later attempt, so the `ended` of an earlier one is not needed.
    for (const [at, earlier] of this.#ended) {
      if (earlier.taskId === frame.taskId && earlier.attempt < frame.attempt) this.#ended.delete(at);
    }
    this.#ended.set(key(frame), frame);
    this.onEnded?.(frame);
  }

  addLog(ref: TaskRef, line: LogLine): void {
    const at = key(ref);
    const logs = this.#logs.get(at) ?? { ref: { taskId: ref.taskId, attempt: ref.attempt }, lines: [] };
    this.#logs.set(at, logs);
    logs.lines.push(line);
    this.#lineCount += 1;
    while (this.#lineCount > MAX_LOG_LINES) this.#dropOldestLine();
  }

  /** Removes an `ended` that the edge has acknowledged. */
  acknowledge(ref: TaskRef): void {
    this.#ended.delete(key(ref));
    if (this.#ended.size > 0) return;
    this.#delivered?.resolve();
    this.#delivered = undefined;
  }

  /** Removes all log lines and returns them as frames within the size limit. */
  takeLogs(): Logs[] {
    const frames: Logs[] = [];
    for (const { ref, lines } of this.#logs.values()) {
      for (let from = 0; from < lines.length; from += LINES_A_FRAME) {
        frames.push({ type: "logs", ...ref, lines: lines.slice(from, from + LINES_A_FRAME) });
      }
    }
    this.#logs.clear();
    this.#lineCount = 0;
    return frames;
  }

  #dropOldestLine(): void {
    const [at, logs] = this.#logs.entries().next().value ?? [];
    if (at === undefined || logs === undefined) return;
    logs.lines.shift();
    this.#lineCount -= 1;
    this.#droppedLines += 1;
    if (logs.lines.length === 0) this.#logs.delete(at);
  }
}
