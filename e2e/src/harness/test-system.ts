import type { RoomReport, SessionReport, UserReport } from "@roomcast/dev/emulator/room-report";
import { BUILT_WORKER } from "@roomcast/dev/stack/built-worker";
import { SDK_APP_ID, type Stack, type StartStackOptions, startStack } from "@roomcast/dev/stack/stack";
import { type ErrorCode, type Seat, seatOf, type TaskLogs, type TaskStateName, type TaskView } from "@roomcast/shared";
import { expect, vi } from "vitest";
import { processesBelow } from "./process-tree.ts";

/** The parameters of a push request that a test sets. A push without a room or a user gets a new one. */
export interface PushOverrides {
  readonly VideoSrc: string;
  readonly Mode?: "vod" | "live";
  readonly RoomId?: number;
  readonly StrRoomId?: string;
  readonly UserId?: string;
  readonly UserSig?: string;
  readonly Redis?: boolean;
  readonly RedisHost?: string;
  readonly RedisPort?: number;
  readonly RedisPassword?: string;
  readonly Region?: string;
  readonly QueueTimeout?: number;
  readonly CallbackUrl?: string;
  readonly CallbackKey?: string;
  readonly IdleTimeout?: number;
  readonly RepeatNum?: number;
}

export type PushBody = PushOverrides & { readonly SdkAppId: number; readonly UserId: string; readonly UserSig: string };

/** A push that the edge has accepted. */
export interface Pushed {
  readonly taskId: string;
  readonly request: PushBody;
  readonly seat: Seat;
}

/** Conditions are checked at this interval. */
const POLL = { interval: 100 } as const;
const DEFAULT_TIMEOUT_MS = 40_000;
/** For many tasks that end one after another, on a busy machine. */
const LONG_TIMEOUT_MS = 120_000;
/** The time that the publisher that is replaced and its successor may be in the room together. */
const TAKEOVER_MS = 100;
const DEFAULT_POLL = { ...POLL, timeout: DEFAULT_TIMEOUT_MS } as const;

/** Settings of an edge that notices faults soon, so that tests of faults are short. */
export const FAULTS_SOON_NOTICED = {
  PLACE_RETRY_MS: "3000",
  REPORT_INTERVAL_MS: "250",
  HEARTBEAT_TIMEOUT_MS: "4000",
  HELLO_TIMEOUT_MS: "2000",
  ACCEPT_TIMEOUT_MS: "4000",
  STOP_TIMEOUT_MS: "4000",
  // A worker on a busy machine may need long to dial again.
  WORKER_GRACE_MS: "2000",
};

/** A complete Roomcast with the checks of the tests. Each push gets a new room and user, so tests can share one system. */
export class TestSystem {
  readonly stack: Stack;
  /** All output lines of its parts, the oldest first. */
  readonly lines: string[];
  #seats = 0;

  private constructor(stack: Stack, lines: string[]) {
    this.stack = stack;
    this.lines = lines;
  }

  static async start(options: StartStackOptions = {}): Promise<TestSystem> {
    const lines: string[] = [];
    const stack = await startStack({
      workerProgram: BUILT_WORKER,
      ...options,
      onLine: (part, line) => lines.push(`${part}: ${line}`),
    });
    return new TestSystem(stack, lines);
  }

  stop(): Promise<void> {
    return this.stack.stop();
  }

  /** Returns the body of a push request. It names a new string room unless the overrides name a room. */
  async pushBody(overrides: PushOverrides): Promise<PushBody> {
    this.#seats += 1;
    const UserId = overrides.UserId ?? `teacher-${this.#seats}`;
    const hasRoom = overrides.RoomId !== undefined || overrides.StrRoomId !== undefined;
    return {
      SdkAppId: SDK_APP_ID,
      ...(hasRoom ? {} : { StrRoomId: `room_${this.#seats}` }),
      ...overrides,
      UserId,
      UserSig: overrides.UserSig ?? (await this.stack.userSig(UserId)),
    };
  }

  /** Starts a push that must be accepted. */
  async push(overrides: PushOverrides): Promise<Pushed> {
    const request = await this.pushBody(overrides);
    return { taskId: await this.stack.client.push(request), request, seat: seatOf(request) };
  }

  /** Resolves with the task once `holds` returns true for it. If that does not happen in time, the error shows its last view. */
  async until(
    { taskId }: Pick<Pushed, "taskId">,
    holds: (task: TaskView) => boolean,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<TaskView> {
    return vi.waitFor(
      async () => {
        const task = await this.stack.client.task(taskId);
        if (!holds(task)) throw new Error(`The task is not in the awaited state: ${JSON.stringify(task)}`);
        return task;
      },
      { ...POLL, timeout: timeoutMs },
    );
  }

  untilState(pushed: Pick<Pushed, "taskId">, state: TaskStateName, timeoutMs?: number): Promise<TaskView> {
    return this.until(pushed, (task) => task.state === state, timeoutMs);
  }

  /** Resolves once the room has been sent the source up to this position. */
  untilPosition(pushed: Pick<Pushed, "taskId">, positionMs: number): Promise<TaskView> {
    return this.until(pushed, ({ progress }) => progress !== null && progress.positionMs >= positionMs);
  }

  /** Resolves once the task's log contains this text. Unlike a state, a log line stays. */
  async untilLogged(pushed: Pick<Pushed, "taskId">, words: RegExp): Promise<void> {
    await vi.waitFor(async () => expect(await this.log(pushed)).toMatch(words), DEFAULT_POLL);
  }

  /** Resolves when somebody is on this seat. */
  async untilOnline({ seat }: Pick<Pushed, "seat">): Promise<void> {
    await vi.waitFor(() => expect(this.user({ seat })?.online).toBe(true), DEFAULT_POLL);
  }

  /** Resolves when the task has ended with any outcome. */
  untilEnded(pushed: Pick<Pushed, "taskId">, timeoutMs?: number): Promise<TaskView> {
    return this.until(pushed, ({ endedAt }) => endedAt !== null, timeoutMs);
  }

  /** Expects that the task fails with this code and a matching message, and leaves nothing behind. */
  async expectFailed(
    pushed: Pushed,
    expected: { readonly code: ErrorCode; readonly message: RegExp; readonly timeoutMs?: number },
  ): Promise<TaskView> {
    const task = await this.untilEnded(pushed, expected.timeoutMs);
    expect({ state: task.state, code: task.error?.code, message: task.error?.message }).toEqual({
      state: "failed",
      code: expected.code,
      message: expect.stringMatching(expected.message),
    });
    await this.expectNothingLeft(pushed);
    return task;
  }

  /** Expects that the task plays its source to the end, and leaves nothing behind. */
  async expectFinished(pushed: Pushed, timeoutMs?: number): Promise<TaskView> {
    const task = await this.untilEnded(pushed, timeoutMs);
    expect(task).toMatchObject({ state: "finished", status: "FINISHED", error: null, reason: null });
    await this.expectNothingLeft(pushed);
    return task;
  }

  /** Expects that the ended task has left its room and is listed as ended. Its seat is then free. */
  async expectNothingLeft(pushed: Pushed): Promise<void> {
    await vi.waitFor(async () => {
      expect(this.user(pushed)?.online ?? false, "the room is left").toBe(false);
      const { tasks } = await this.stack.client.tasks("?limit=100");
      const listed = tasks.find(({ taskId }) => taskId === pushed.taskId);
      expect(listed?.status, "the listing says that it ended").toMatch(/FINISHED|FAILED|ABORTED/);
    }, DEFAULT_POLL);
  }

  /** Expects that the push's user never had two publishers in the room, except for the moment of a takeover. */
  expectOnePublisherAtATime(pushed: Pushed): void {
    const sessions = this.user(pushed)?.sessions ?? [];
    const togetherMs = sessions.flatMap(({ endedAtMs }, index) => {
      const next = sessions[index + 1];
      return next === undefined ? [] : [(endedAtMs ?? Number.POSITIVE_INFINITY) - next.publishedAtMs];
    });
    expect(togetherMs.filter((ms) => ms >= TAKEOVER_MS)).toEqual([]);
  }

  /** Waits until all of these have ended, and returns the number of tasks for each outcome. */
  async outcomesOf(pushes: readonly Pick<Pushed, "taskId">[]): Promise<Record<string, number>> {
    const outcomes: Record<string, number> = {};
    for (const pushed of pushes) {
      const { status, error } = await this.untilEnded(pushed, LONG_TIMEOUT_MS);
      const outcome = error === null ? status : `${status} ${error.code}`;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    return outcomes;
  }

  /** Takes a worker out of service. */
  async drain(workerId: string): Promise<void> {
    await this.#drain(workerId, "POST");
  }

  /** Puts a drained worker back into service. */
  async undrain(workerId: string): Promise<void> {
    await this.#drain(workerId, "DELETE");
  }

  async #drain(workerId: string, method: "POST" | "DELETE"): Promise<void> {
    const response = await this.stack.client.fetch(`/v1/workers/${workerId}/drain`, { method });
    expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 200 });
  }

  /** Starts a drained worker, which takes tasks only after `undrain`. */
  async addReserve(workerId: string, region: string): Promise<void> {
    await this.stack.addWorker({ workerId, region });
    await this.drain(workerId);
  }

  /** Expects, when all tasks have ended, that workers hold no units for them and run no child process. */
  async expectIdle(): Promise<void> {
    await vi.waitFor(async () => {
      for (const worker of await this.stack.client.workers()) {
        expect(worker).toMatchObject({ tasks: 0, loadUnits: 0, reservedUnits: 0 });
      }
      for (const { pid } of this.stack.workers) expect(await processesBelow(pid)).toEqual([]);
    }, DEFAULT_POLL);
  }

  /** Returns the room's report of the push's user, or undefined if this user never came. */
  user({ seat }: Pick<Pushed, "seat">): UserReport | undefined {
    return this.#room(seat)?.users.find(({ userId }) => userId === seat.userId);
  }

  /** Returns the only session of the push's user in the room. */
  session(pushed: Pick<Pushed, "seat">): SessionReport {
    const sessions = this.user(pushed)?.sessions ?? [];
    const [only] = sessions;
    if (only === undefined || sessions.length > 1)
      throw new Error(`There were ${sessions.length} sessions, expected 1.`);
    return only;
  }

  /** Returns the messages of the task's log as one text. */
  async log({ taskId }: Pick<Pushed, "taskId">): Promise<string> {
    const { lines }: TaskLogs = await this.stack.client.logs(taskId);
    return lines.map(({ message }) => message).join("\n");
  }

  #room(seat: Seat): RoomReport | undefined {
    return this.stack.emulator
      .rooms()
      .find(
        ({ sdkAppId, kind, id }) =>
          sdkAppId === seat.sdkAppId && kind === seat.room.kind && id === String(seat.room.id),
      );
  }
}
