import { describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { library, lost, prepare } from "../seat/room-session.test-support.ts";

async function playing(url: string) {
  const shelf = library();
  const made = prepare({ openSource: shelf.openSource, programme: { items: [url], plays: 1 } });
  await eventually(() => expect(made.rooms[0]?.pictures()).toBeGreaterThan(2));
  return { ...shelf, ...made };
}

describe("Player", () => {
  describe("when a change fails", () => {
    it("leaves the push unchanged: not paused, nothing preloaded, the same volume", async () => {
      const { session: played, states, opened } = await playing("a:900");
      const change = { VideoSrc: "bad", IsPause: true, Preload: ["p:300"], Volume: 20 };
      await expect(played.change(change)).rejects.toMatchObject({ code: "FailedOperation.SourceNotFound" });
      expect(await played.run()).toEqual({ name: "finished" });
      expect(states).toEqual(["pushing"]);
      expect(opened.map(({ url }) => url)).toEqual(["a:900", "bad"]);
    });

    it("leaves a paused push paused, although the change asked to resume", async () => {
      const { session: played, states } = await playing("a:9000");
      await played.change({ IsPause: true });
      const { positionMs } = played.snapshot();
      await expect(played.change({ VideoSrc: "bad", IsPause: false })).rejects.toMatchObject({
        code: "FailedOperation.SourceNotFound",
      });
      expect(played.snapshot()).toMatchObject({ state: "paused", positionMs });
      expect(states).toEqual(["pushing", "paused"]);
      played.stop("now");
      await played.run();
    });

    it("starts the push with its first source when the change came before the first picture", async () => {
      const { openSource, slow, opened } = library();
      const { session: played, rooms } = prepare({ openSource, programme: { items: ["slow:300"], plays: 1 } });
      await eventually(() => expect(slow.size).toBe(1));
      slow.clear();
      await expect(played.change({ VideoSrc: "bad" })).rejects.toMatchObject({
        code: "FailedOperation.SourceNotFound",
      });
      await eventually(() => expect(slow.size).toBe(1));
      slow.get("slow:300")?.resolve();
      expect(await played.run()).toEqual({ name: "finished" });
      expect([rooms[0]?.pictures(), opened.map(({ url }) => url)]).toEqual([9, ["slow:300", "bad", "slow:300"]]);
    });
  });

  describe("when a change sets both source and pause", () => {
    it("shows the first picture of the new source and pauses there", async () => {
      const { session: played } = await playing("a:9000");
      await played.change({ VideoSrc: "b:300", IsPause: true });
      expect(played.snapshot()).toMatchObject({ state: "paused", positionMs: 0, durationMs: 300 });
      await played.change({ IsPause: false });
      expect(await played.run()).toEqual({ name: "finished" });
    });

    it("resumes with the new source although the push was paused", async () => {
      const { session: played, states } = await playing("a:9000");
      await played.change({ IsPause: true });
      await played.change({ VideoSrc: "b:300", IsPause: false });
      expect(await played.run()).toEqual({ name: "finished" });
      expect(states).toEqual(["pushing", "paused", "pushing"]);
    });

    it("does not pause when a newer change ended the pause before the new source was ready", async () => {
      const { session: played, slow, states } = await playing("a:9000");
      const changed = played.change({ VideoSrc: "slow:300", IsPause: true });
      await eventually(() => expect(slow.size).toBe(1));
      await played.change({ IsPause: false });
      slow.get("slow:300")?.resolve();
      await changed;
      expect(await played.run()).toEqual({ name: "finished" });
      expect(states).toEqual(["pushing"]);
    });
  });

  it("applies a change of volume that the loss of the room interrupted once the room is back", async () => {
    const { session: played, rooms, opened } = await playing("a:9000");
    const changed = played.change({ Volume: 50 });
    rooms[0]?.onEnded?.(lost("RoomLost"));
    await changed;
    expect(rooms).toHaveLength(2);
    expect(opened.at(-1)).toMatchObject({ volume: 50 });
    played.stop("now");
    await played.run();
  });

  describe("when the push starts paused", () => {
    it("measures the length of its pause from its first picture", async () => {
      const { openSource } = library();
      const { session: played, states } = prepare({
        openSource,
        programme: { items: ["a:300"], plays: 1 },
        paused: true,
        // This process has already run for longer.
        limits: { longestPauseMs: performance.now() / 2 },
      });
      await eventually(() => expect(states).toEqual(["paused"]));
      await played.change({ IsPause: false });
      expect(await played.run()).toEqual({ name: "finished" });
    });
  });

  it("starts at the beginning when the volume is changed before the first picture", async () => {
    const { openSource, slow, opened } = library();
    const { session: played } = prepare({ openSource, programme: { items: ["slow:300"], plays: 1 } });
    await eventually(() => expect(slow.size).toBe(1));
    slow.clear();
    const changed = played.change({ Volume: 50 });
    await eventually(() => expect(slow.size).toBe(1));
    slow.get("slow:300")?.resolve();
    await changed;
    expect(opened.at(-1)).toMatchObject({ startAtMs: 0, volume: 50 });
    expect(await played.run()).toEqual({ name: "finished" });
  });
});
