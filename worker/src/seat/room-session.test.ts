import { RoomcastError } from "@roomcast/shared";
import { describe, expect, it, vi } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import type { Source } from "../source/source.ts";
import { clip, library, lost, MemoryRoom, newSession, prepare, steps } from "./room-session.test-support.ts";
import type { SessionTask } from "./session-task.ts";

describe("RoomSession", () => {
  describe("when the first task starts", () => {
    it("closes the source when the room refuses the publisher", async () => {
      const source = clip(500);
      const refused = new RoomcastError("FailedOperation.RoomRefused", "no");
      const room = new MemoryRoom(() => Promise.reject(refused));
      const { session: played } = prepare({
        openSource: () => Promise.resolve(source),
        createPublisher: () => room,
      });
      expect(await played.run()).toEqual({ name: "failed", error: refused });
      expect(source.closed).toBe(true);
      expect(room.pictures()).toBe(0);
    });

    it("leaves the room when the source fails, even while the room is still being dialled", async () => {
      const notFound = new RoomcastError("FailedOperation.SourceNotFound", "404");
      const { promise, reject } = Promise.withResolvers<void>();
      const room = new MemoryRoom(() => promise);
      const stop = vi.spyOn(room, "stop").mockImplementation(() => {
        reject(new Error("stopped while it connected"));
        return Promise.resolve();
      });
      const { session: played } = prepare({
        openSource: () => Promise.reject(notFound),
        createPublisher: () => room,
      });
      expect(await played.run()).toEqual({ name: "failed", error: notFound });
      expect(stop).toHaveBeenCalled();
    });

    it("leaves the room with the source's error when the source fails long after the room was entered", async () => {
      const opening = Promise.withResolvers<Source>();
      const { session: played, rooms } = prepare({ openSource: () => opening.promise });
      await eventually(() => expect(rooms[0]?.published).toBe(true));
      opening.reject(lost("SourceUnreachable"));
      expect(await played.run()).toMatchObject({
        name: "failed",
        error: { code: "FailedOperation.SourceUnreachable" },
      });
      expect(rooms[0]?.stopped).toBe(true);
    });

    it("ends as aborted and cancels the source when it is stopped while the source opens", async () => {
      let told = false;
      const { session: played, rooms } = prepare({
        openSource: (_request, signal) =>
          new Promise<Source>((_resolve, reject) => {
            signal.addEventListener("abort", () => {
              told = true;
              reject(new Error("aborted"));
            });
          }),
      });
      const outcome = played.run();
      played.stop("now");
      expect(await outcome).toMatchObject({ name: "aborted" });
      expect(told).toBe(true);
      expect(rooms.every((room) => room.stopped)).toBe(true);
    });
  });

  describe("when the edge must confirm the task", () => {
    /** The edge's answers, which the test gives. */
    function edge() {
      const asked: PromiseWithResolvers<{ holds: () => boolean }>[] = [];
      const untilConfirmed = (signal: AbortSignal) => {
        const confirmation = Promise.withResolvers<{ holds: () => boolean }>();
        signal.addEventListener("abort", () => confirmation.reject(signal.reason));
        asked.push(confirmation);
        return confirmation.promise;
      };
      return { asked, untilConfirmed };
    }

    const holds = { holds: () => true };

    it("waits for the confirmation before it dials the room, while the source opens", async () => {
      const { asked, untilConfirmed } = edge();
      const open = vi.fn<(request: unknown, signal: AbortSignal) => Promise<Source>>(async () => clip(500));
      const { session: played, rooms } = prepare({ openSource: open, untilConfirmed });
      const run = played.run();
      await eventually(() => expect(open).toHaveBeenCalled());
      expect([asked.length, rooms.length]).toEqual([1, 0]);
      asked[0]?.resolve(holds);
      expect(await run).toEqual({ name: "finished" });
      expect(asked).toHaveLength(1);
    });

    it("asks again when the confirmation has expired by the time the room answers, and publishes nothing before", async () => {
      const { asked, untilConfirmed } = edge();
      const dialled = Promise.withResolvers<void>();
      const room = new MemoryRoom(() => dialled.promise);
      const createPublisher = vi.fn<() => MemoryRoom>(() => room);
      const { session: played } = prepare({ openSource: async () => clip(500), untilConfirmed, createPublisher });
      const run = played.run();
      let counts = true;
      await eventually(() => expect(asked).toHaveLength(1));
      asked[0]?.resolve({ holds: () => counts });
      await eventually(() => expect(createPublisher).toHaveBeenCalledOnce());
      counts = false;
      dialled.resolve();
      await eventually(() => expect(asked).toHaveLength(2));
      expect(room.published).toBe(false);
      asked[1]?.resolve(holds);
      expect(await run).toEqual({ name: "finished" });
      expect(room.published).toBe(true);
    });

    it("dials the room again when the room has closed the connection before the confirmation came", async () => {
      const { asked, untilConfirmed } = edge();
      const closed = Promise.withResolvers<never>();
      const rooms: MemoryRoom[] = [];
      const { session: played } = prepare({
        openSource: async () => clip(500),
        untilConfirmed,
        createPublisher: () => {
          const room = new MemoryRoom();
          // The room closes the first connection while the edge is asked.
          if (rooms.length === 0)
            vi.spyOn(room, "start").mockImplementation((ask) => Promise.race([ask(), closed.promise]));
          rooms.push(room);
          return room;
        },
      });
      const run = played.run();
      let counts = true;
      await eventually(() => expect(asked).toHaveLength(1));
      asked[0]?.resolve({ holds: () => counts && rooms.length === 0 });
      await eventually(() => expect(asked).toHaveLength(2));
      counts = false;
      closed.reject(lost("RoomLost"));
      await eventually(() => expect(asked).toHaveLength(3));
      asked[2]?.resolve(holds);
      expect(await run).toEqual({ name: "finished" });
      expect(rooms.map(({ published }) => published)).toEqual([false, true]);
    });

    it("waits for the confirmation before it dials a lost room again, and does not open the source meanwhile", async () => {
      const { asked, untilConfirmed } = edge();
      let opened = 0;
      const { session: played, rooms } = prepare({
        openSource: async ({ startAtMs }) => {
          opened += 1;
          return clip(1500 - startAtMs, startAtMs);
        },
        untilConfirmed,
      });
      const run = played.run();
      let counts = true;
      await eventually(() => expect(asked).toHaveLength(1));
      asked[0]?.resolve({ holds: () => counts });
      await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(2));
      counts = false;
      rooms[0]?.onEnded?.(lost("RoomLost"));
      await eventually(() => expect(asked).toHaveLength(2));
      expect([rooms.length, opened]).toEqual([1, 1]);
      asked[1]?.resolve(holds);
      expect(await run).toEqual({ name: "finished" });
      expect([rooms.length, opened]).toEqual([2, 2]);
    });

    it("does not wait for the confirmation when the task is stopped", async () => {
      const { asked, untilConfirmed } = edge();
      const { session: played, rooms } = prepare({ openSource: async () => clip(500), untilConfirmed });
      const run = played.run();
      await eventually(() => expect(asked).toHaveLength(1));
      played.stop("tidy");
      expect(await run).toMatchObject({ name: "aborted" });
      expect(rooms).toEqual([]);
    });
  });

  describe("when the room is lost", () => {
    it("enters the room again and continues a recorded source where the room stopped seeing it", async () => {
      const openedAt: number[] = [];
      const {
        session: played,
        rooms,
        states,
      } = prepare({
        openSource: ({ startAtMs }) => {
          openedAt.push(startAtMs);
          return Promise.resolve(clip(600 - startAtMs, startAtMs));
        },
      });
      const outcome = played.run();
      await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(5));
      rooms[0]?.onEnded?.(lost("RoomLost"));
      expect(await outcome).toEqual({ name: "finished" });
      expect(rooms).toHaveLength(2);
      expect(openedAt[0]).toBe(0);
      expect(openedAt[1]).toBeGreaterThan(150);
      expect(states).toEqual(["pushing", "reconnecting", "pushing"]);
    });

    it("enters the room again and sends nothing before the source is back when the source is lost as well", async () => {
      const { openSource } = library();
      let failures = 0;
      let away = false;
      const { session: played, rooms } = prepare({
        programme: { items: ["a:600"], plays: 1 },
        openSource: (request, signal) => {
          if (!away || failures >= 3) return openSource(request, signal);
          failures += 1;
          return Promise.reject(lost("SourceUnreachable"));
        },
      });
      const outcome = played.run();
      await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(5));
      away = true;
      rooms[0]?.onEnded?.(lost("RoomLost"));
      expect(await outcome).toEqual({ name: "finished" });
      expect(failures).toBe(3);
      expect(rooms).toHaveLength(2);
      const [header, picture] = rooms[1]?.media.filter(({ kind }) => kind === "video") ?? [];
      expect([header?.payload[1], picture?.payload[0]]).toEqual([0, 0x17]);
    });

    it("does not enter the room again when another publisher has replaced it", async () => {
      const { session: played, rooms } = prepare({ openSource: () => Promise.resolve(clip(5_000)) });
      const outcome = played.run();
      await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(0));
      rooms[0]?.onEnded?.(lost("RoomReplaced"));
      expect(await outcome).toMatchObject({ name: "failed", error: { code: "FailedOperation.RoomReplaced" } });
      expect(rooms).toHaveLength(1);
    });

    it("detects a room that accepts no media", async () => {
      const { session: played, rooms } = prepare({
        openSource: () => Promise.resolve(clip(5_000)),
        roomStallMs: 100,
        returnBudgetMs: 0,
      });
      const outcome = played.run();
      await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(0));
      if (rooms[0] !== undefined) rooms[0].queuedBytes = 64 * 1024 * 1024;
      expect(await outcome).toMatchObject({ name: "failed", error: { code: "FailedOperation.RoomLost" } });
    });
  });

  describe("when a second task enters", () => {
    async function takeover(url: string, before: (first: SessionTask) => void = () => {}) {
      const shelf = library();
      const made = newSession();
      const first = made.enter({
        taskId: "first",
        openSource: shelf.openSource,
        programme: { items: ["a:700"], plays: 1 },
      });
      await eventually(() => expect(made.rooms[0]?.pictures()).toBeGreaterThan(2));
      before(first);
      const second = made.enter({
        taskId: "second",
        openSource: shelf.openSource,
        programme: { items: [url], plays: 1 },
      });
      return { ...shelf, ...made, first, second };
    }

    it("lets it take over without a gap when its source is ready, and the first task ends as replaced by it", async () => {
      const { first, second, rooms, session } = await takeover("b:300");
      expect(await first.done).toEqual({ name: "replaced", byTaskId: "second" });
      expect(await second.done).toEqual({ name: "finished" });
      expect(rooms).toHaveLength(1);
      expect(steps(rooms[0]).largestMs).toBeLessThanOrEqual(100);
      expect(session.ended).toBe(true);
    });

    it("plays the first task to its end when the second one's source cannot be opened", async () => {
      const { first, second, rooms } = await takeover("bad");
      expect(await second.done).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceNotFound" } });
      expect(await first.done).toEqual({ name: "finished" });
      expect(rooms[0]?.pictures()).toBe(21);
    });

    it("keeps the room when the first task ends before the second one's source is ready", async () => {
      const { first, second, rooms, slow } = await takeover("slow:300");
      expect(await first.done).toEqual({ name: "finished" });
      expect(rooms[0]?.stopped).toBe(false);
      slow.get("slow:300")?.resolve();
      expect(await second.done).toEqual({ name: "finished" });
      expect(rooms).toHaveLength(1);
    });

    it("enters the room again when the second task comes while the stopped first one is leaving", async () => {
      const { first, second, rooms, session } = await takeover("b:300", (stay) => stay.stop("now"));
      expect(await first.done).toEqual({ name: "aborted", reason: "" });
      expect(await second.done).toEqual({ name: "finished" });
      expect(rooms.map((room) => room.stopped)).toEqual([true, true]);
      expect(rooms[1]?.pictures()).toBe(9);
      expect(session.ended).toBe(true);
    });

    it("replaces the second task by a third one that comes before it is ready", async () => {
      const { first, second, enter, openSource } = await takeover("slow:300");
      const third = enter({ taskId: "third", openSource, programme: { items: ["c:200"], plays: 1 } });
      expect(await second.done).toEqual({ name: "replaced", byTaskId: "third" });
      expect(await first.done).toEqual({ name: "replaced", byTaskId: "third" });
      expect(await third.done).toEqual({ name: "finished" });
    });
  });

  describe("when the task has a start time", () => {
    it("shows the first picture at that time and not before", async () => {
      const { openSource } = library();
      const notBeforeMs = performance.now() + 300;
      let firstAtMs = 0;
      const { session: played } = prepare({
        openSource,
        programme: { items: ["a:200"], plays: 1 },
        notBeforeMs,
        onState: () => (firstAtMs ||= performance.now()),
      });
      expect(await played.run()).toEqual({ name: "finished" });
      expect(firstAtMs).toBeGreaterThanOrEqual(notBeforeMs);
    });
  });
});
