import type { RoomReport, SessionReport, UserReport } from "@roomcast/dev/emulator/room-report";
import { BUILT_WORKER } from "@roomcast/dev/stack/built-worker";
import { SDK_APP_ID, type Stack, type StartStackOptions, startStack } from "@roomcast/dev/stack/stack";
import { type ErrorCode, type Seat, seatOf, type TaskLogs, type TaskStateName, type TaskView } from "@roomcast/shared";
import { expect, vi } from "vitest";
import { processesBelow } from "./process-tree.ts";

/** What a test changes of a push request; `VideoSrc` it must say. Without a room and a user it gets new ones. */
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

/** How often a condition is looked at. */
const POLL = { interval: 100 } as const;
const DEFAULT_PATIENCE_MS = 40_000;
/** Where many tasks end one after another, on a busy machine. */
const LONG_PATIENCE_MS = 120_000;
/** How long the publisher that is replaced and its successor may be in the room together. */
const TAKEOVER_MS = 100;
const PATIENT_POLL = { ...POLL, timeout: DEFAULT_PATIENCE_MS } as const;

/** Settings of an edge that notices faults soon, so that they are also over soon. */
export const FAULTS_SOON_NOTICED = {
  PLACE_RETRY_MS: "3000",
  REPORT_INTERVAL_MS: "250",
  HEARTBEAT_TIMEOUT_MS: "4000",
  HELLO_TIMEOUT_MS: "2000",
  ACCEPT_TIMEOUT_MS: "4000",
  STOP_TIMEOUT_MS: "4000",
  // A busy machine may take its time to dial again.
  WORKER_GRACE_MS: "2000",
};

/** A whole Roomcast, and what tests ask of it. Rooms and users are new for each push, so tests can share one system. */
export class TestSystem {
  readonly stack: Stack;
  /** All that its parts have said, the oldest first. */
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

  /** The body of a push request, in a string room of its own unless it says another. */
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

  /** Resolves with the task once `holds` is true of it; its last view is in the error when that never comes. */
  async until(
    { taskId }: Pick<Pushed, "taskId">,
    holds: (task: TaskView) => boolean,
    patienceMs = DEFAULT_PATIENCE_MS,
  ): Promise<TaskView> {
    return vi.waitFor(
      async () => {
        const task = await this.stack.client.task(taskId);
        if (!holds(task)) throw new Error(`It is not so yet: ${JSON.stringify(task)}`);
        return task;
      },
      { ...POLL, timeout: patienceMs },
    );
  }

  untilState(pushed: Pick<Pushed, "taskId">, state: TaskStateName, patienceMs?: number): Promise<TaskView> {
    return this.until(pushed, (task) => task.state === state, patienceMs);
  }

  /** Resolves once the room has been sent the source up to here. */
  untilPosition(pushed: Pick<Pushed, "taskId">, positionMs: number): Promise<TaskView> {
    return this.until(pushed, ({ progress }) => progress !== null && progress.positionMs >= positionMs);
  }

  /** Resolves once the task's log says this; unlike a state, what was logged stays. */
  async untilLogged(pushed: Pick<Pushed, "taskId">, words: RegExp): Promise<void> {
    await vi.waitFor(async () => expect(await this.log(pushed)).toMatch(words), PATIENT_POLL);
  }

  /** Resolves when somebody is on this seat. */
  async untilOnline({ seat }: Pick<Pushed, "seat">): Promise<void> {
    await vi.waitFor(() => expect(this.user({ seat })?.online).toBe(true), PATIENT_POLL);
  }

  /** Resolves when the task has ended, however it did. */
  untilEnded(pushed: Pick<Pushed, "taskId">, patienceMs?: number): Promise<TaskView> {
    return this.until(pushed, ({ endedAt }) => endedAt !== null, patienceMs);
  }

  /** Waits for the end, which must be a failure with this code and a message like this, and leave nothing behind. */
  async expectFailed(
    pushed: Pushed,
    expected: { readonly code: ErrorCode; readonly message: RegExp; readonly patienceMs?: number },
  ): Promise<TaskView> {
    const task = await this.untilEnded(pushed, expected.patienceMs);
    expect({ state: task.state, code: task.error?.code, message: task.error?.message }).toEqual({
      state: "failed",
      code: expected.code,
      message: expect.stringMatching(expected.message),
    });
    await this.expectNothingLeft(pushed);
    return task;
  }

  /** Waits for the end, which must be that the source was played out, and leave nothing behind. */
  async expectFinished(pushed: Pushed, patienceMs?: number): Promise<TaskView> {
    const task = await this.untilEnded(pushed, patienceMs);
    expect(task).toMatchObject({ state: "finished", status: "FINISHED", error: null, reason: null });
    await this.expectNothingLeft(pushed);
    return task;
  }

  /** The ended task has left its room, and the listing counts it as ended: its seat is free. */
  async expectNothingLeft(pushed: Pushed): Promise<void> {
    await vi.waitFor(async () => {
      expect(this.user(pushed)?.online ?? false, "the room is left").toBe(false);
      const { tasks } = await this.stack.client.tasks("?limit=100");
      const listed = tasks.find(({ taskId }) => taskId === pushed.taskId);
      expect(listed?.status, "the listing says that it ended").toMatch(/FINISHED|FAILED|ABORTED/);
    }, PATIENT_POLL);
  }

  /** At no time had the push's user two publishers in the room, but for the moment in which one takes the other's place. */
  expectOnePublisherAtATime(pushed: Pushed): void {
    const sessions = this.user(pushed)?.sessions ?? [];
    const togetherMs = sessions.flatMap(({ endedAtMs }, index) => {
      const next = sessions[index + 1];
      return next === undefined ? [] : [(endedAtMs ?? Number.POSITIVE_INFINITY) - next.publishedAtMs];
    });
    expect(togetherMs.filter((ms) => ms >= TAKEOVER_MS)).toEqual([]);
  }

  /** Once these have all ended: how many ended as what. */
  async outcomesOf(pushes: readonly Pick<Pushed, "taskId">[]): Promise<Record<string, number>> {
    const outcomes: Record<string, number> = {};
    for (const pushed of pushes) {
      const { status, error } = await this.untilEnded(pushed, LONG_PATIENCE_MS);
      const outcome = error === null ? status : `${status} ${error.code}`;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    return outcomes;
  }

  /** Takes a worker out of service. */
  async drain(workerId: string): Promise<void> {
    await this.#drain(workerId, "POST");
  }

  /** Puts it back. */
  async undrain(workerId: string): Promise<void> {
    await this.#drain(workerId, "DELETE");
  }

  async #drain(workerId: string, method: "POST" | "DELETE"): Promise<void> {
    const response = await this.stack.client.fetch(`/v1/workers/${workerId}/drain`, { method });
    expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 200 });
  }

  /** A worker that is ready to take over, and takes nothing before `undrain`. */
  async addReserve(workerId: string, region: string): Promise<void> {
    await this.stack.addWorker({ workerId, region });
    await this.drain(workerId);
  }

  /** When all tasks have ended, workers hold nothing for them and run no other process. */
  async expectIdle(): Promise<void> {
    await vi.waitFor(async () => {
      for (const worker of await this.stack.client.workers()) {
        expect(worker).toMatchObject({ tasks: 0, loadUnits: 0, reservedUnits: 0 });
      }
      for (const { pid } of this.stack.workers) expect(await processesBelow(pid)).toEqual([]);
    }, PATIENT_POLL);
  }

  /** What the room saw of the push's user; undefined: nobody ever came. */
  user({ seat }: Pick<Pushed, "seat">): UserReport | undefined {
    return this.#room(seat)?.users.find(({ userId }) => userId === seat.userId);
  }

  /** The one time that the push's user was in the room. */
  session(pushed: Pick<Pushed, "seat">): SessionReport {
    const sessions = this.user(pushed)?.sessions ?? [];
    const [only] = sessions;
    if (only === undefined || sessions.length > 1)
      throw new Error(`There were ${sessions.length} sessions, expected 1.`);
    return only;
  }

  /** The task's log, one text. */
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
