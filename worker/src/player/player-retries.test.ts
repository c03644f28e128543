import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clip, prepare, steps } from "../seat/room-session.test-support.ts";
import { ScriptedSource, scriptedTags } from "../source/scripted-source.test-support.ts";
import type { Source } from "../source/source.ts";
import type { SourceRequest } from "./prepared-source.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const broken = (code: ErrorCode, message = "It broke off.") => new RoomcastError(code, message);

/** A recorded source of `totalMs` that plays from where it is opened up to `breaksAtMs`, and ends there with the error. */
function breaking({ startAtMs }: SourceRequest, breaksAtMs: number, totalMs: number, error: RoomcastError): Source {
  const source = new ScriptedSource({ durationMs: totalMs });
  source.push(...scriptedTags({ fromMs: startAtMs, durationMs: Math.max(34, breaksAtMs - startAtMs) }));
  return source.finish({ name: "failed", error });
}

/** Opens one after another; the last one is used again and again. */
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

describe("a recorded source that goes away in the middle", () => {
  it.each<ErrorCode>([
    "FailedOperation.SourceLost",
    "FailedOperation.SourceTimeout",
    "FailedOperation.SourceUnreachable",
    "FailedOperation.SourceNotFound",
    "FailedOperation.SourceForbidden",
    "FailedOperation.MediaEngine",
    "InternalError",
  ])("with %s is opened again where the room was, and played to its end in the same room", async (code) => {
    const { opened, openSource } = inTurn((request) => breaking(request, 1_000, 3_000, broken(code)), whole(3_000));
    const { session: played, rooms, states } = prepare({ openSource });
    await vi.advanceTimersByTimeAsync(6_000);
    expect(await played.run()).toEqual({ name: "finished" });
    expect(opened.map(({ startAtMs }) => Math.round(startAtMs / 100))).toEqual([0, 10]);
    expect(states).toEqual(["pushing", "reconnecting", "pushing"]);
    expect(rooms).toHaveLength(1);
    expect(steps(rooms[0]).back).toBe(0);
  });

  it("because it gives nothing any more is opened again where the room was", async () => {
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
  ])("is not given up for %s while it is waited for", async (code) => {
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

  it("ends with the first error, and what came last, when the budget is used up", async () => {
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
  ])("with %s is not waited for: its file stays as it is", async (code) => {
    const { opened, openSource } = inTurn((request) => breaking(request, 1_000, 3_000, broken(code)));
    const { session: played } = prepare({ openSource });
    await vi.advanceTimersByTimeAsync(1_500);
    expect(await played.run()).toMatchObject({ name: "failed", error: { code } });
    expect(opened).toHaveLength(1);
  });

  it("is opened three times more when its engine fails at the same place again, and fails with the first cause", async () => {
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

  it("is opened as often as it must be while its engine makes progress in between", async () => {
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

  it("is not opened again in a pause, and has its whole budget after it", async () => {
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

  it("is still waited for when a change to another source fails meanwhile", async () => {
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

describe("a live source that is waited for", () => {
  const live = (request: SourceRequest, error?: RoomcastError) => {
    const source = new ScriptedSource({ live: true }).push(...scriptedTags({ ...request, fromMs: 0, durationMs: 500 }));
    return error === undefined ? source : source.finish({ name: "failed", error });
  };

  it.each<ErrorCode>([
    "FailedOperation.SourceNotMedia",
    "FailedOperation.SourceForbidden",
    "FailedOperation.SourceNotFound",
    "FailedOperation.SourceUnsupported",
    "FailedOperation.MediaEngine",
    "InternalError",
  ])("is back when %s has passed, whether that took it off the air or came meanwhile", async (code) => {
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

  it("ends the task with what took it off the air when the budget is used up", async () => {
    const { openSource } = inTurn(
      (request) => live(request, broken("FailedOperation.SourceLost")),
      () => broken("FailedOperation.SourceNotMedia", "It is an error page."),
    );
    const { session: played } = prepare({ openSource, live: true, limits: { idleTimeoutMs: 5_000 } });
    await vi.advanceTimersByTimeAsync(8_000);
    expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
  });
});

it("a live source that says that it has ended is not waited for: the push is finished", async () => {
  const { opened, openSource } = inTurn(() =>
    new ScriptedSource({ live: true }).push(...scriptedTags({ fromMs: 0, durationMs: 500 })).finish(),
  );
  const { session: played } = prepare({ openSource, live: true });
  await vi.advanceTimersByTimeAsync(1_500);
  expect(await played.run()).toEqual({ name: "finished" });
  expect(opened).toHaveLength(1);
});

describe("a source that does not open in time", () => {
  it("ends the task that begins with it", async () => {
    const { openSource } = inTurn(() => broken("FailedOperation.SourceTimeout"));
    const { session: played } = prepare({ openSource });
    await vi.advanceTimersByTimeAsync(100);
    expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTimeout" } });
  });

  it("fails the change that asked for it while the push goes on", async () => {
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
