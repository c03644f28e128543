import { describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { library, lost, newSession, prepare, steps } from "./room-session.test-support.ts";

describe("RoomSession", () => {
  describe("when a second task takes over the seat", () => {
    async function takeover(firstUrl: string, secondUrl: string) {
      const shelf = library();
      const made = newSession();
      const programme = (url: string) => ({ items: [url], plays: 1 });
      const first = made.enter({ taskId: "first", openSource: shelf.openSource, programme: programme(firstUrl) });
      await eventually(() => expect(made.rooms[0]?.pictures()).toBeGreaterThan(2));
      const second = made.enter({ taskId: "second", openSource: shelf.openSource, programme: programme(secondUrl) });
      await eventually(() => expect(shelf.slow.size).toBe(1));
      return { ...shelf, ...made, first, second };
    }

    it("continues the playing task when the newcomer is paused before its source is ready, and reports the newcomer as starting", async () => {
      const { first, second, slow, rooms } = await takeover("a:700", "slow:300");
      await second.change({ IsPause: true });
      expect(second.snapshot().state).toBe("starting");
      expect(await first.done).toEqual({ name: "finished" });
      expect(rooms[0]?.pictures()).toBeGreaterThanOrEqual(21);
      expect(first.snapshot()).toMatchObject({ positionMs: 700 });
      slow.get("slow:300")?.resolve();
      await eventually(() => expect(second.snapshot().state).toBe("paused"));
      expect(second.snapshot().positionMs).toBe(0);
      await second.change({ IsPause: false });
      expect(await second.done).toEqual({ name: "finished" });
    });

    it("leaves the playing task as it was when the newcomer is paused and its source then fails", async () => {
      const { first, second, slow } = await takeover("a:700", "slow:300");
      await second.change({ IsPause: true });
      slow.get("slow:300")?.reject(lost("SourceUnreachable"));
      expect(await second.done).toMatchObject({ name: "failed" });
      expect(first.snapshot().state).toBe("pushing");
      expect(await first.done).toEqual({ name: "finished" });
    });

    it("leaves a paused task paused when the newcomer is resumed before its source is ready", async () => {
      const { first, second, slow } = await takeover("a:700", "slow:300");
      await first.change({ IsPause: true });
      const { positionMs } = first.snapshot();
      await second.change({ IsPause: true });
      await second.change({ IsPause: false });
      slow.get("slow:300")?.reject(lost("SourceUnreachable"));
      await second.done;
      expect(first.snapshot()).toMatchObject({ state: "paused", positionMs });
      first.stop("now");
      await first.done;
    });

    it("refuses a change to the replaced task, and its successor continues", async () => {
      const { first, second, slow, rooms } = await takeover("a:9000", "slow:600");
      slow.get("slow:600")?.resolve();
      await first.done;
      await expect(first.change({ IsPause: true })).rejects.toMatchObject({ code: "ResourceUnavailable.TaskEnded" });
      expect(await second.done).toEqual({ name: "finished" });
      expect(steps(rooms[0]).back).toBe(0);
    });
  });

  it("reports a task as starting, not as reconnecting, when the connection is lost before the room was ever entered", async () => {
    const { openSource } = library();
    const asked: PromiseWithResolvers<{ holds: () => boolean }>[] = [];
    const { session: played, states } = prepare({
      openSource,
      programme: { items: ["a:300"], plays: 1 },
      untilConfirmed: () => {
        const confirmation = Promise.withResolvers<{ holds: () => boolean }>();
        asked.push(confirmation);
        if (asked.length === 1) confirmation.reject(lost("RoomLost"));
        return confirmation.promise;
      },
    });
    await eventually(() => expect(asked).toHaveLength(2));
    expect([played.snapshot().state, states]).toEqual(["starting", []]);
    asked[1]?.resolve({ holds: () => true });
    expect(await played.run()).toEqual({ name: "finished" });
    expect(states).toEqual(["pushing"]);
  });
});
