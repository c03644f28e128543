import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clip, prepare, steps } from "../seat/room-session.test-support.ts";
import { ScriptedSource, scriptedTags } from "../source/scripted-source.test-support.ts";
import type { Source } from "../source/source.ts";
import type { SourceRequest } from "./prepared-source.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const broken = (code: ErrorCode, message = "It broke off.") => new RoomcastError(code, message);

/** Opens a recorded source of `totalMs` that plays up to `breaksAtMs` and ends there with the error. */
function breaking({ startAtMs }: SourceRequest, breaksAtMs: number, totalMs: number, error: RoomcastError): Source {
  const source = new ScriptedSource({ durationMs: totalMs });
  source.push(...scriptedTags({ fromMs: startAtMs, durationMs: Math.max(34, breaksAtMs - startAtMs) }));
  return source.finish({ name: "failed", error });
}

/** Opens one after another, and repeats the last one. */
function inTurn(...ways: ((request: SourceRequest) => Source | RoomcastError)[]) {
  const opened: SourceRequest[] = [];
  const openSource = async (request: SourceRequest): Promise<Source> => {
    const way = ways[Math.min(opened.length, ways.length - 1)];
    opened.push(request);
    const made = way?.(request);
    if (made === undefined || made instanceof RoomcastError) throw made;
    return made;
  };
  return { opened, openSource };
}

const whole = (totalMs: number) => (request: SourceRequest) => clip(totalMs - request.startAtMs, request.startAtMs);

describe("Player", () => {
  describe("when a recorded source is lost in the middle", () => {
    it.each<ErrorCode>([
      "FailedOperation.SourceLost",
      "FailedOperation.SourceTimeout",
      "FailedOperation.SourceUnreachable",
      "FailedOperation.SourceNotFound",
      "FailedOperation.SourceForbidden",
      "FailedOperation.MediaEngine",
      "InternalError",
    ])("opens it again at the room's position and plays it to its end in the same room after %s", async (code) => {
      const { opened, openSource } = inTurn((request) => breaking(request, 1_000, 3_000, broken(code)), whole(3_000));
      const { session: played, rooms, states } = prepare({ openSource });
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(opened.map(({ startAtMs }) => Math.round(startAtMs / 100))).toEqual([0, 10]);
      expect(states).toEqual(["pushing", "reconnecting", "pushing"]);
      expect(rooms).toHaveLength(1);
      expect(steps(rooms[0]).back).toBe(0);
    });

    it("opens it again at the room's position when it delivers nothing", async () => {
      const { opened, openSource } = inTurn(
        () => new ScriptedSource({ durationMs: 3_000 }).push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })),
        whole(3_000),
      );
      const { session: played } = prepare({ openSource, limits: { sourceSilenceMs: 2_000 } });
      await vi.advanceTimersByTimeAsync(9_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(opened.map(({ startAtMs }) => Math.round(startAtMs / 100))).toEqual([0, 10]);
    });

    it.each<ErrorCode>([
      "FailedOperation.SourceNotMedia",
      "FailedOperation.SourceUnsupported",
      "FailedOperation.SourceTruncated",
      "FailedOperation.SourceForbidden",
      "FailedOperation.SourceNotFound",
    ])("does not give up for %s while it waits for the source", async (code) => {
      const { opened, openSource } = inTurn(
        (request) => breaking(request, 1_000, 3_000, broken("FailedOperation.SourceLost")),
        () => broken(code),
        () => broken(code),
        whole(3_000),
      );
      const { session: played } = prepare({ openSource });
      await vi.advanceTimersByTimeAsync(12_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(opened).toHaveLength(4);
    });

    it("fails with the first and the last error when the budget is used up", async () => {
      const { openSource } = inTurn(
        (request) => breaking(request, 1_000, 3_000, broken("FailedOperation.SourceLost")),
        () => broken("FailedOperation.SourceForbidden", "It may not be read: its signature has expired."),
      );
      const { session: played } = prepare({ openSource, limits: { idleTimeoutMs: 5_000 } });
      await vi.advanceTimersByTimeAsync(5_800);
      expect(played.snapshot().state).toBe("reconnecting");
      await vi.advanceTimersByTimeAsync(1_500);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: {
          code: "FailedOperation.SourceLost",
          message: "It broke off. It could not be opened again: It may not be read: its signature has expired.",
        },
      });
    });

    it.each<ErrorCode>([
      "FailedOperation.SourceTruncated",
      "FailedOperation.SourceNotMedia",
      "FailedOperation.SourceUnsupported",
    ])("does not retry after %s, because the file does not change", async (code) => {
      const { opened, openSource } = inTurn((request) => breaking(request, 1_000, 3_000, broken(code)));
      const { session: played } = prepare({ openSource });
      await vi.advanceTimersByTimeAsync(1_500);
      expect(await played.run()).toMatchObject({ name: "failed", error: { code } });
      expect(opened).toHaveLength(1);
    });

    it("opens it three more times when ffmpeg fails at the same place again, and fails with the first cause", async () => {
      let failures = 0;
      const { opened, openSource } = inTurn((request) => {
        failures += 1;
        return breaking(request, 1_000, 30_000, broken("FailedOperation.MediaEngine", `Crash ${failures}.`));
      });
      const { session: played } = prepare({ openSource, limits: { idleTimeoutMs: 600_000 } });
      await vi.advanceTimersByTimeAsync(20_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { code: "FailedOperation.MediaEngine", message: expect.stringContaining("Crash") },
      });
      expect(opened).toHaveLength(4);
    });

    it("opens it again any number of times while ffmpeg makes progress in between", async () => {
      const { opened, openSource } = inTurn((request) =>
        breaking(request, request.startAtMs + 7_000, 60_000, broken("FailedOperation.MediaEngine")),
      );
      const { session: played } = prepare({ openSource, limits: { idleTimeoutMs: 600_000 } });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(opened.length).toBeGreaterThan(6);
      expect(played.snapshot().positionMs).toBeGreaterThan(40_000);
      played.stop("now");
      await vi.advanceTimersByTimeAsync(100);
      await played.run();
    });

    it("does not open it again in a pause, and restores the budget after the pause", async () => {
      const { opened, openSource } = inTurn(
        (request) => breaking(request, 1_000, 3_000, broken("FailedOperation.SourceLost")),
        () => broken("FailedOperation.SourceUnreachable"),
      );
      const { session: played } = prepare({ openSource, limits: { idleTimeoutMs: 5_000 } });
      await vi.advanceTimersByTimeAsync(3_000);
      await played.change({ IsPause: true });
      const { length } = opened;
      await vi.advanceTimersByTimeAsync(60_000);
      expect([opened.length, played.snapshot().state]).toEqual([length, "paused"]);
      await played.change({ IsPause: false });
      await vi.advanceTimersByTimeAsync(4_000);
      expect(played.snapshot().state).toBe("reconnecting");
      expect(opened.length).toBeGreaterThan(length);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
    });

    it("still waits for it when a change to another source fails meanwhile", async () => {
      let away = true;
      const openSource = async (request: SourceRequest): Promise<Source> => {
        if (request.url === "bad") throw broken("FailedOperation.SourceTimeout");
        if (request.startAtMs === 0) return breaking(request, 1_000, 3_000, broken("FailedOperation.SourceLost"));
        if (away) throw broken("FailedOperation.SourceUnreachable");
        return whole(3_000)(request);
      };
      const { session: played, rooms } = prepare({ openSource });
      await vi.advanceTimersByTimeAsync(3_000);
      const refused = played.change({ VideoSrc: "bad" }).catch((thrown: unknown) => thrown);
      await vi.advanceTimersByTimeAsync(100);
      expect(await refused).toMatchObject({ code: "FailedOperation.SourceTimeout" });
      expect(played.snapshot().state).toBe("reconnecting");
      away = false;
      await vi.advanceTimersByTimeAsync(12_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms).toHaveLength(1);
    });
  });

  describe("when a live source is lost", () => {
    const live = (request: SourceRequest, error?: RoomcastError) => {
      const source = new ScriptedSource({ live: true }).push(
        ...scriptedTags({ ...request, fromMs: 0, durationMs: 500 }),
      );
      return error === undefined ? source : source.finish({ name: "failed", error });
    };

    it.each<ErrorCode>([
      "FailedOperation.SourceNotMedia",
      "FailedOperation.SourceForbidden",
      "FailedOperation.SourceNotFound",
      "FailedOperation.SourceUnsupported",
      "FailedOperation.MediaEngine",
      "InternalError",
    ])("continues after %s, whether that error ended the source or occurred while waiting for it", async (code) => {
      const { opened, openSource } = inTurn(
        (request) => live(request, broken(code)),
        () => broken(code),
        () => broken(code),
        (request) => live(request),
      );
      const { session: played, rooms, states } = prepare({ openSource, live: true });
      await vi.advanceTimersByTimeAsync(9_000);
      expect(states).toEqual(["pushing", "reconnecting", "pushing"]);
      expect([opened.length, rooms.length]).toEqual([4, 1]);
      expect(opened.map(({ returns }) => returns)).toEqual([undefined, true, true, true]);
      played.stop("now");
      await vi.advanceTimersByTimeAsync(100);
      await played.run();
    });

    it("fails with the source's own error if the source waits longer for its media than the player", async () => {
      const source = new ScriptedSource({ live: true, patienceMs: 8_000 });
      source.push(...scriptedTags({ fromMs: 0, durationMs: 1_000 }));
      const own = broken("FailedOperation.SourceLost", "Its encoder has stopped.");
      const { openSource } = inTurn(
        () => source,
        () => own,
      );
      const limits = { sourceSilenceMs: 2_000, idleTimeoutMs: 1_000 };
      const { session: played } = prepare({ openSource, live: true, limits });
      await vi.advanceTimersByTimeAsync(8_000);
      expect(played.snapshot().state).toBe("pushing");
      source.finish({ name: "failed", error: own });
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { message: expect.stringContaining("Its encoder has stopped.") },
      });
    });

    it("fails with the error that ended the source when the budget is used up", async () => {
      const { openSource } = inTurn(
        (request) => live(request, broken("FailedOperation.SourceLost")),
        () => broken("FailedOperation.SourceNotMedia", "It is an error page."),
      );
      const { session: played } = prepare({ openSource, live: true, limits: { idleTimeoutMs: 5_000 } });
      await vi.advanceTimersByTimeAsync(8_000);
      expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
    });
  });

  it("finishes without waiting when a live source signals its end", async () => {
    const { opened, openSource } = inTurn(() =>
      new ScriptedSource({ live: true }).push(...scriptedTags({ fromMs: 0, durationMs: 500 })).finish(),
    );
    const { session: played } = prepare({ openSource, live: true });
    await vi.advanceTimersByTimeAsync(1_500);
    expect(await played.run()).toEqual({ name: "finished" });
    expect(opened).toHaveLength(1);
  });

  describe("when a source does not open in time", () => {
    it("fails if it is the first source", async () => {
      const { openSource } = inTurn(() => broken("FailedOperation.SourceTimeout"));
      const { session: played } = prepare({ openSource });
      await vi.advanceTimersByTimeAsync(100);
      expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTimeout" } });
    });

    it("fails the change that requested it while the push continues", async () => {
      const { openSource } = inTurn(whole(2_000), () => broken("FailedOperation.SourceTimeout"));
      const { session: played, rooms } = prepare({ openSource });
      await vi.advanceTimersByTimeAsync(500);
      const refused = played.change({ VideoSrc: "slow" }).catch((thrown: unknown) => thrown);
      await vi.advanceTimersByTimeAsync(100);
      expect(await refused).toMatchObject({ code: "FailedOperation.SourceTimeout" });
      await vi.advanceTimersByTimeAsync(3_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms[0]?.pictures()).toBe(60);
    });
  });
});
