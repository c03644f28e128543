import { expectedUnits, RoomcastError, type TaskRef, type TaskUpdate, taskCost } from "@roomcast/shared";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import type { ProgressRecord } from "../redis-progress/progress-record.ts";
import type { SourceInfo } from "../source/source.ts";
import {
  DEFAULTS,
  dispatch,
  newHost,
  OTHER,
  outcomesOf,
  request,
  source,
  started,
  TASK,
  withRedis,
} from "./memory-host.test-support.ts";
import { TaskHost } from "./task-host.ts";

const copied: SourceInfo = { ...source.info, plan: { video: "copy", audio: "copy", reasons: [] } };

describe("TaskHost", () => {
  describe("when a task is dispatched", () => {
    it("accepts, runs and reports the task, and sends one `ended` with its last position", async () => {
      const { host, sessions, ended } = newHost();
      expect(host.dispatch(dispatch())).toEqual({ type: "accepted", taskId: TASK, attempt: 1 });
      expect(host.reports).toMatchObject([{ taskId: TASK, attempt: 1, state: "starting", positionMs: 0 }]);
      const session = await started(sessions);
      session.at(30_000);
      expect(host.report().tasks).toMatchObject([{ state: "pushing", positionMs: 30_000, fps: 30 }]);
      session.end({ name: "finished" });
      await eventually(() => expect(ended).toHaveLength(1));
      expect(ended[0]).toEqual({
        type: "ended",
        taskId: TASK,
        attempt: 1,
        item: 0,
        positionMs: 30_000,
        outcome: { name: "finished" },
      });
      expect(host.reports).toEqual([]);
      expect(host.loadUnits).toBe(0);
    });

    it("reports the code and message of the first cause when the task fails", async () => {
      const { host, sessions, ended } = newHost();
      host.dispatch(dispatch());
      const error = new RoomcastError("FailedOperation.SourceNotFound", "The source answered 404.");
      (await started(sessions)).end({ name: "failed", error });
      await eventually(() => expect(ended[0]?.outcome).toEqual({ name: "failed", error: error.toBody() }));
    });

    it("ends the task as failed without the thrown text when its session cannot be created", async () => {
      const { ended } = newHost();
      const host = new TaskHost({
        capacityUnits: 100,
        news: { addEnded: (frame) => void ended.push(frame), addLog: () => {} },
        createTaskLog: () => pino({ level: "silent" }),
        parts: {
          openProgress: () => Promise.reject(new Error("not asked for")),
          openSource: async () => source,
          createPublisher: () => expect.fail("not asked for"),
          enterRoom: () => {
            throw new TypeError("secret internals");
          },
          untilConfirmed: async () => ({ holds: () => true }),
          defaults: DEFAULTS,
        },
      });
      host.dispatch(dispatch());
      await eventually(() => expect(ended[0]?.outcome).toMatchObject({ name: "failed" }));
      expect(JSON.stringify(ended)).not.toContain("secret internals");
    });

    it("runs the task once and accepts it twice when the dispatch comes twice", async () => {
      const { host, sessions } = newHost();
      expect([host.dispatch(dispatch()).type, host.dispatch(dispatch()).type]).toEqual(["accepted", "accepted"]);
      await started(sessions);
      expect(sessions).toHaveLength(1);
    });

    it("does not run the task again but reports its end again when the dispatch comes again after the end", async () => {
      const { host, sessions, ended } = newHost();
      host.dispatch(dispatch());
      (await started(sessions)).end({ name: "finished" });
      await eventually(() => expect(ended).toHaveLength(1));
      expect(host.dispatch(dispatch()).type).toBe("accepted");
      await eventually(() => expect(ended).toHaveLength(2));
      expect(ended[1]).toEqual(ended[0]);
      expect(sessions).toHaveLength(1);
    });

    it("refuses an older attempt, whether the newer one runs or has ended", async () => {
      const { host, sessions, ended } = newHost();
      host.dispatch(dispatch({ attempt: 3 }));
      const session = await started(sessions);
      expect(host.dispatch(dispatch({ attempt: 2 })).type).toBe("refused");
      session.end({ name: "finished" });
      await eventually(() => expect(ended).toHaveLength(1));
      expect(host.dispatch(dispatch({ attempt: 2 })).type).toBe("refused");
      expect(sessions).toHaveLength(1);
    });

    it("replaces an older attempt by a newer one, which enters the room only after the older one has left", async () => {
      const { host, sessions, ended } = newHost({ obedient: false });
      host.dispatch(dispatch({ attempt: 1 }));
      const first = await started(sessions);
      host.dispatch(dispatch({ attempt: 2, resumeAtMs: 9_000 }));
      expect(host.reports).toMatchObject([{ taskId: TASK, attempt: 2, state: "starting", positionMs: 9_000 }]);
      const second = await started(sessions, 1);
      expect(first.stops).toEqual(["now"]);
      expect(outcomesOf(ended)).toEqual([[TASK, 1, "aborted"]]);
      second.end({ name: "finished" });
      await eventually(() =>
        expect(outcomesOf(ended)).toEqual([
          [TASK, 1, "aborted"],
          [TASK, 2, "finished"],
        ]),
      );
    });
  });

  describe("when its capacity is limited", () => {
    it("counts a task by its expected cost until its source is open, then by all its open sources", async () => {
      const { host, sessions } = newHost();
      host.dispatch(dispatch());
      expect(host.loadUnits).toBe(expectedUnits(null, request));
      const session = await started(sessions);
      expect(host.loadUnits).toBe(expectedUnits(null, request));
      session.held = [source.info, null];
      const transcoded = taskCost({ video: "transcode", pixelsPerSecond: 1280 * 720 * 30 });
      expect(host.loadUnits).toBeCloseTo(transcoded + expectedUnits(null, request));
      session.held = [source.info, copied, copied];
      expect(host.loadUnits).toBeCloseTo(transcoded + 2 * taskCost({ video: "copy" }));
    });

    it("accepts only as many tasks of a burst as fit by their expected cost", () => {
      const { host } = newHost({ capacityUnits: 100 });
      const answers = Array.from({ length: 12 }, (_, n) =>
        host.dispatch(dispatch({ taskId: TASK.slice(0, -2) + String(n + 10), request: { ...request, RoomId: n + 1 } })),
      );
      expect(answers.filter(({ type }) => type === "accepted")).toHaveLength(10);
    });

    it("accepts a task that replaces one of its own even when it is full", () => {
      const { host } = newHost({ capacityUnits: 15 });
      host.dispatch(dispatch());
      expect(host.dispatch(dispatch({ taskId: OTHER })).type).toBe("accepted");
    });

    it("refuses a task with a retryable error when it is full", () => {
      const { host } = newHost({ capacityUnits: 15 });
      host.dispatch(dispatch());
      const elsewhere = { ...request, RoomId: 43 };
      expect(host.dispatch(dispatch({ taskId: OTHER, request: elsewhere }))).toMatchObject({
        type: "refused",
        taskId: OTHER,
        attempt: 1,
        error: { code: "ResourceInsufficient", retryable: true },
      });
    });

    it("fits twenty copied streams on one core", async () => {
      const { host, sessions } = newHost({ capacityUnits: 100 });
      for (let n = 0; n < 20; n += 1) {
        const next = dispatch({ taskId: TASK.slice(0, -2) + String(n + 10), request: { ...request, RoomId: n + 1 } });
        expect(host.dispatch(next).type).toBe("accepted");
        (await started(sessions, n)).held = [copied];
      }
    });
  });

  describe("when a task is stopped", () => {
    it.each(["now", "tidy"] as const)("ends the task as aborted with the reason (%s)", async (how) => {
      const { host, sessions, ended } = newHost();
      host.dispatch(dispatch());
      const session = await started(sessions);
      host.stop({ taskId: TASK, attempt: 1 }, how, "The user asked.");
      await eventually(() => expect(ended[0]?.outcome).toEqual({ name: "aborted", reason: "The user asked." }));
      expect(session.stops).toEqual([how]);
    });

    it("ignores a stop of another attempt or of a task that does not run here", async () => {
      const { host, sessions } = newHost();
      host.dispatch(dispatch({ attempt: 2 }));
      const session = await started(sessions);
      host.stop({ taskId: TASK, attempt: 1 }, "now", "old");
      host.stop({ taskId: OTHER, attempt: 1 }, "now", "unknown");
      expect(session.stops).toEqual([]);
    });

    it("ends a task at once that still waits for its Redis", async () => {
      const { host, sessions, ended, progress } = newHost({ redis: new Promise(() => {}) });
      host.dispatch(dispatch({ request: withRedis }));
      host.stop({ taskId: TASK, attempt: 1 }, "now", "The user asked.");
      await eventually(() => expect(outcomesOf(ended)).toEqual([[TASK, 1, "aborted"]]));
      expect(sessions).toEqual([]);
      expect(progress.read).toBeUndefined();
    });
  });

  describe("when a task is updated", () => {
    const update = (change: TaskUpdate, ref: Partial<TaskRef> = {}) =>
      ({ type: "update", taskId: TASK, attempt: 1, updateId: OTHER, change, ...ref }) as const;

    it("passes the update to the push and answers when the room sees it", async () => {
      const { host, sessions } = newHost();
      host.dispatch(dispatch());
      const stay = await started(sessions);
      const answer = await host.update(update({ SeekSecond: 3 }));
      expect(answer).toEqual({ type: "updated", taskId: TASK, attempt: 1, updateId: OTHER, error: null });
      expect(stay.changes).toEqual([{ SeekSecond: 3 }]);
    });

    it("answers with the error when the update fails", async () => {
      const { host, sessions } = newHost();
      host.dispatch(dispatch());
      await started(sessions);
      const answer = await host.update(update({ VideoSrc: "https://media.example.com/bad.mp4" }));
      expect(answer.error?.code).toBe("FailedOperation.SourceNotFound");
    });

    it("answers not found for another attempt", async () => {
      const { host, sessions } = newHost();
      host.dispatch(dispatch());
      await started(sessions);
      const answer = await host.update(update({ IsPause: true }, { attempt: 2 }));
      expect(answer.error?.code).toBe("ResourceNotFound.Task");
    });

    it("closes the record of the old source and opens that of the new one when the source changes", async () => {
      const { host, sessions, progress } = newHost();
      host.dispatch(dispatch({ request: withRedis }));
      (await started(sessions)).at(4_000);
      await host.update(update({ VideoSrc: "https://media.example.com/b.mp4" }));
      expect(progress.opened).toEqual(["https://media.example.com/a.mp4", "https://media.example.com/b.mp4"]);
      expect(progress.closedWith).toMatchObject([{ positionMs: 4_000, state: "aborted" }]);
    });

    it("closes each record once when the source changes while the record of an earlier change is still being opened", async () => {
      const { host, sessions, ended, progress } = newHost();
      host.dispatch(dispatch({ request: withRedis }));
      const session = await started(sessions);
      const gate = Promise.withResolvers<void>();
      progress.hold = gate.promise;
      const url = (name: string) => `https://media.example.com/${name}.mp4`;
      const changes = ["b", "c"].map((name) => host.update(update({ VideoSrc: url(name) })));
      await eventually(() => expect(progress.opened).toContain(url("b")));
      gate.resolve();
      await Promise.all(changes);
      session.end({ name: "finished" });
      await eventually(() => expect(ended).toHaveLength(1));
      expect(progress.opened).toEqual(["a", "b", "c"].map(url));
      expect(progress.closed).toEqual(["a", "b", "c"].map(url));
    });

    it("ends the task even if the record of a new source never opens", async () => {
      const { host, sessions, ended, progress } = newHost();
      host.dispatch(dispatch({ request: withRedis }));
      const session = await started(sessions);
      progress.hold = new Promise(() => {});
      const changed = host.update(update({ VideoSrc: "https://media.example.com/b.mp4" }));
      await eventually(() => expect(progress.opened).toHaveLength(2));
      session.end({ name: "finished" });
      await eventually(() => expect(ended).toHaveLength(1));
      expect((await changed).error).toBeNull();
      expect(progress.closed).toEqual(["https://media.example.com/a.mp4"]);
    });
  });

  describe("when another task takes over the seat", () => {
    it("ends the task as aborted and names the other one", async () => {
      const { host, sessions, ended } = newHost();
      host.dispatch(dispatch());
      (await started(sessions)).end({ name: "replaced", byTaskId: OTHER });
      await eventually(() => expect(ended[0]?.outcome).toEqual({ name: "aborted", reason: `replaced by ${OTHER}` }));
    });
  });

  describe("when progress is recorded in Redis", () => {
    const found: ProgressRecord = {
      taskId: OTHER,
      attempt: 1,
      item: 0,
      positionMs: 12_000,
      durationMs: 30_000,
      state: "aborted",
      updatedAtMs: 0,
    };

    it("starts the session at the recorded progress of an earlier push of the source", async () => {
      const { host, sessions, progress } = newHost();
      progress.found = found;
      host.dispatch(dispatch({ request: withRedis }));
      expect((await started(sessions)).options.startAt).toEqual({ item: 0, positionMs: 12_000 });
    });

    it("records the session's progress while it runs, and its end", async () => {
      const { host, sessions, ended, progress } = newHost();
      host.dispatch(dispatch({ request: withRedis }));
      const session = await started(sessions);
      session.at(7_000);
      expect(progress.read?.()).toMatchObject({ positionMs: 7_000, state: "pushing" });
      session.end({ name: "finished" });
      await eventually(() => expect(ended).toHaveLength(1));
      expect(progress.closedWith).toEqual([{ item: 0, positionMs: 7_000, durationMs: 30_000, state: "finished" }]);
    });

    it("fails the task with the Redis error before opening a source or a room when Redis cannot be used", async () => {
      const error = new RoomcastError("FailedOperation.RedisUnreachable", "Redis at redis:6379 does not answer.");
      const refused = Promise.reject(error);
      refused.catch(() => {});
      const { host, sessions, ended } = newHost({ redis: refused });
      host.dispatch(dispatch({ request: withRedis }));
      await eventually(() => expect(ended[0]?.outcome).toEqual({ name: "failed", error: error.toBody() }));
      expect(sessions).toEqual([]);
    });
  });

  describe("when it drains", () => {
    it("refuses new tasks and releases every task with its position", async () => {
      const { host, sessions, ended } = newHost();
      host.dispatch(dispatch());
      host.dispatch(dispatch({ taskId: OTHER }));
      (await started(sessions, 0)).at(5_000);
      (await started(sessions, 1)).at(6_000);
      await host.drain("SIGTERM", 10_000);
      expect(ended.map(({ positionMs, outcome }) => [positionMs, outcome.name])).toEqual([
        [5_000, "released"],
        [6_000, "released"],
      ]);
      expect(host.hello()).toMatchObject({ draining: true, running: [], load: { units: 0 } });
      expect(host.dispatch(dispatch({ taskId: TASK, attempt: 2 }))).toMatchObject({
        type: "refused",
        error: { code: "ResourceInsufficient" },
      });
    });

    it("stops and releases the tasks that have not left by the time limit", async () => {
      const { host, sessions, ended } = newHost({ obedient: false });
      host.dispatch(dispatch());
      const session = await started(sessions);
      await host.drain("SIGTERM", 20);
      expect(session.stops).toEqual(["tidy", "now"]);
      expect(outcomesOf(ended)).toEqual([[TASK, 1, "released"]]);
    });

    it("ends at once after a second signal", async () => {
      const { host, sessions, ended } = newHost({ obedient: false });
      host.dispatch(dispatch());
      await started(sessions);
      const draining = host.drain("SIGTERM", 600_000);
      await host.stopNow("SIGTERM");
      await draining;
      expect(outcomesOf(ended)).toEqual([[TASK, 1, "released"]]);
    });
  });

  it("sends exactly one `ended` per accepted dispatch, however stops, duplicates and attempts are mixed", async () => {
    const { host, sessions, ended } = newHost();
    const accepted = new Set<string>();
    // A small linear congruential generator makes the same mixture each time.
    let seed = 42;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let step = 0; step < 400; step += 1) {
      const taskId = TASK.slice(0, -1) + String(random(5));
      const ref = { taskId, attempt: 1 + random(6) };
      if (random(3) === 0) host.stop(ref, random(2) === 0 ? "now" : "tidy", "asked for");
      else if (host.dispatch(dispatch(ref)).type === "accepted") accepted.add(`${ref.taskId}/${ref.attempt}`);
      if (random(4) === 0) sessions.at(-1 - random(3))?.end({ name: "finished" });
      if (random(5) === 0) await Promise.resolve();
    }
    await host.drain("over", 60_000);
    const told = ended.map(({ taskId, attempt }) => `${taskId}/${attempt}`);
    expect(new Set(told)).toEqual(accepted);
    expect(host.loadUnits).toBe(0);
    expect(sessions.length).toBeLessThanOrEqual(accepted.size);
  });

  it("sends a task's log lines under its attempt", async () => {
    const { host, sessions, lines } = newHost();
    host.dispatch(dispatch({ attempt: 4 }));
    await started(sessions);
    expect(lines[0]).toEqual({
      ref: { taskId: TASK, attempt: 4 },
      line: { atMs: 0, level: "info", message: "task starts" },
    });
  });
});
