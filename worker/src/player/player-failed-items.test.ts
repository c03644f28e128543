import { RoomcastError } from "@roomcast/shared";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { library, lost, prepare, steps } from "../seat/room-session.test-support.ts";
import { ScriptedSource, scriptedTags } from "../source/scripted-source.test-support.ts";
import type { Source } from "../source/source.ts";
import type { SourceRequest } from "./prepared-source.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const notFound = () => new RoomcastError("FailedOperation.SourceNotFound", "There is no such file.");

/** Opens clips by their URL as `library` does. `cut:…` ends with an error half-way; `missing…` does not exist. */
function shelf(isGone: (request: SourceRequest) => boolean = () => false) {
  const opened: string[] = [];
  const { openSource } = library();
  const open = async (request: SourceRequest, signal: AbortSignal): Promise<Source> => {
    opened.push(request.url);
    if (request.url.includes("missing") || isGone(request)) throw notFound();
    if (!request.url.startsWith("cut")) return await openSource(request, signal);
    const durationMs = Number(request.url.split(":")[1]);
    const source = new ScriptedSource({ durationMs });
    source.push(...scriptedTags({ fromMs: request.startAtMs, durationMs: durationMs / 2 }));
    return source.finish({ name: "failed", error: lost("SourceTruncated") });
  };
  return { opened, openSource: open };
}

function play(items: readonly string[], wishes: Partial<Parameters<typeof prepare>[0]> = {}, plays = 1) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "warn" }, { write: (line) => void lines.push(JSON.parse(line)) });
  const { opened, openSource } = shelf();
  return { opened, lines, ...prepare({ openSource, programme: { items, plays }, log, ...wishes }) };
}

describe("Player", () => {
  describe("when an item of the playlist fails", () => {
    it("continues with the next item without a gap and logs the failed one without its secrets", async () => {
      const bad = "https://media.example.com/missing.mp4?token=secret";
      const { session: played, rooms, lines } = play(["a:300", bad, "c:300"]);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect([rooms.length, rooms[0]?.pictures()]).toEqual([1, 18]);
      expect(steps(rooms[0])).toEqual({ largestMs: expect.any(Number), back: 0 });
      expect(steps(rooms[0]).largestMs).toBeLessThanOrEqual(100);
      expect(lines).toEqual([
        expect.objectContaining({
          msg: "an item of the playlist is skipped",
          source: "https://media.example.com/missing.mp4?…",
          err: expect.objectContaining({ message: "Item 2 of 3: There is no such file." }),
        }),
      ]);
    });

    it("starts with the next item when the first one fails", async () => {
      const { session: played, rooms, opened } = play(["missing", "missing-too", "c:300"]);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect([rooms[0]?.pictures(), opened]).toEqual([9, ["missing", "missing-too", "c:300"]]);
      expect(played.snapshot().item).toBe(2);
    });

    it("finishes after the item before when the last one fails", async () => {
      const { session: played, rooms } = play(["a:300", "missing"]);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms[0]?.pictures()).toBe(9);
    });

    it("continues with the next item after the last good picture when an item is cut short", async () => {
      const { session: played, rooms, lines } = play(["cut:600", "b:300"]);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect([rooms.length, rooms[0]?.pictures(), lines.length]).toEqual([1, 18, 1]);
    });

    it("waits for an item that is lost in the middle and then continues with the next one", async () => {
      let tries = 0;
      const openSource = async (request: SourceRequest, signal: AbortSignal): Promise<Source> => {
        if (request.url !== "away") return await library().openSource(request, signal);
        tries += 1;
        if (tries > 1) throw lost("SourceUnreachable");
        const source = new ScriptedSource({ durationMs: 9_000 }).push(...scriptedTags({ fromMs: 0, durationMs: 300 }));
        return source.finish({ name: "failed", error: lost("SourceLost") });
      };
      const { session: played, states } = play(["away", "b:300"], { openSource, limits: { idleTimeoutMs: 3_000 } });
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(tries).toBeGreaterThan(2);
      expect(states).toEqual(["pushing", "reconnecting", "pushing"]);
    });

    it("waits for the next item too, after one that has used up its budget", async () => {
      let tries = 0;
      const openSource = async (request: SourceRequest, signal: AbortSignal): Promise<Source> => {
        if (request.url === "away") throw lost("SourceUnreachable");
        if (request.url === "late:300" && ++tries <= 2) throw lost("SourceUnreachable");
        return await library().openSource(request, signal);
      };
      const { session: played, rooms } = play(["a:300", "away", "late:300"], {
        openSource,
        limits: { idleTimeoutMs: 4_000 },
      });
      await vi.advanceTimersByTimeAsync(9_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(tries).toBe(3);
      expect(rooms[0]?.pictures()).toBe(18);
    });

    it("plays the good items as many times as requested and tries the failed one in each round", async () => {
      const { session: played, rooms, opened } = play(["a:300", "missing"], {}, 5);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms[0]?.pictures()).toBe(45);
      expect(opened.filter((url) => url === "missing")).toHaveLength(5);
    });
  });

  describe("when all items of the playlist fail", () => {
    it("fails with the first cause", async () => {
      const { session: played, opened } = play(["missing", "missing-too"], {}, Number.POSITIVE_INFINITY);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: {
          code: "FailedOperation.SourceNotFound",
          message: "None of the 2 items could be played. Item 1 of 2, round 1: There is no such file.",
        },
      });
      expect(opened).toHaveLength(2);
    });

    it("fails although each item shows its first pictures before it breaks off", async () => {
      const { session: played, opened } = play(["cut:600", "cut:400"], {}, Number.POSITIVE_INFINITY);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTruncated" } });
      expect(opened).toHaveLength(2);
    });

    it("names item and round when all items fail in a later round", async () => {
      let round = 0;
      const isGone = ({ url }: SourceRequest) => (url.startsWith("a") ? ++round : round) > 3;
      const { openSource } = shelf(isGone);
      const { session: played } = play(["a:300", "b:300"], { openSource }, Number.POSITIVE_INFINITY);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { message: "None of the 2 items could be played. Item 1 of 2, round 4: There is no such file." },
      });
    });

    it("names the round when the only item fails in a later round", async () => {
      let opened = 0;
      const { openSource } = shelf(() => ++opened > 2);
      const { session: played } = play(["a:300"], { openSource }, Number.POSITIVE_INFINITY);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { message: "Round 3: There is no such file." },
      });
    });
  });

  describe("when OnItemError is fail", () => {
    it("fails with the error of an item that cannot be opened, after the items before it", async () => {
      const { session: played, rooms } = play(["a:300", "missing", "c:300"], { onItemError: "fail" });
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { code: "FailedOperation.SourceNotFound", message: "Item 2 of 3: There is no such file." },
      });
      expect(rooms[0]?.pictures()).toBe(9);
    });

    it("fails with the error of an item that is cut short and plays no item after it", async () => {
      const { session: played, rooms } = play(["cut:400", "b:300"], { onItemError: "fail" });
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { code: "FailedOperation.SourceTruncated", message: "Item 1 of 2: gone" },
      });
      expect(rooms[0]?.pictures()).toBe(6);
    });

    it("fails with the error of an item that stays unreachable for longer than its budget", async () => {
      const openSource = async (request: SourceRequest, signal: AbortSignal): Promise<Source> => {
        if (request.url === "away") throw lost("SourceUnreachable");
        return await library().openSource(request, signal);
      };
      const { session: played, rooms } = play(["a:300", "away"], {
        openSource,
        onItemError: "fail",
        limits: { idleTimeoutMs: 300 },
      });
      await vi.advanceTimersByTimeAsync(3_000);
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { code: "FailedOperation.SourceUnreachable" },
      });
      expect(rooms[0]?.pictures()).toBe(9);
    });
  });

  it("continues after a given-up item when the room is lost at that moment", async () => {
    vi.useRealTimers();
    const gate = Promise.withResolvers<void>();
    const { openSource } = shelf();
    const { session: played, rooms } = play(["cut:600", "b:300"], {
      openSource: async (request, signal) => {
        if (request.url === "b:300") await gate.promise;
        return await openSource(request, signal);
      },
    });
    await eventually(() => expect(played.snapshot()).toMatchObject({ item: 1, positionMs: 0 }));
    rooms[0]?.onEnded?.(lost("RoomLost"));
    gate.resolve();
    expect(await played.run()).toEqual({ name: "finished" });
    expect(rooms.map((room) => room.pictures())).toEqual([9, 9]);
  });
});
