import type { TaskUpdate } from "@roomcast/shared";
import { describe, expect, it, vi } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { clip, library, lost, prepare, steps } from "../seat/room-session.test-support.ts";
import { ScriptedSource, scriptedTags } from "../source/scripted-source.test-support.ts";
import type { Settings } from "./play-settings.ts";
import type { SourceRequest } from "./prepared-source.ts";

describe("Player", () => {
  describe("when the source is recorded", () => {
    it("plays it to its last picture and leaves the room", async () => {
      const source = clip(500);
      const { session: played, rooms, states } = prepare({ openSource: () => Promise.resolve(source) });
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms).toHaveLength(1);
      expect(rooms[0]?.pictures()).toBe(15);
      expect(rooms[0]?.stopped).toBe(true);
      expect(source.closed).toBe(true);
      expect(states).toEqual(["pushing"]);
      expect(played.snapshot()).toMatchObject({ state: "pushing", positionMs: 500, durationMs: 500 });
    });

    it("fails with the source's error after all good media was sent when the source fails half-way", async () => {
      const source = new ScriptedSource({ durationMs: 10_000 });
      source.push(...scriptedTags({ fromMs: 0, durationMs: 300 }));
      source.finish({ name: "failed", error: lost("SourceTruncated") });
      const { session: played, rooms } = prepare({ openSource: () => Promise.resolve(source) });
      expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTruncated" } });
      expect(rooms[0]?.pictures()).toBe(9);
      expect(rooms[0]?.stopped).toBe(true);
    });

    it("fails with a time-out when the source goes silent", async () => {
      const source = new ScriptedSource({ durationMs: 10_000 }).push(...scriptedTags({ fromMs: 0, durationMs: 100 }));
      const { session: played } = prepare({
        openSource: () => Promise.resolve(source),
        limits: { sourceSilenceMs: 200, idleTimeoutMs: 0 },
      });
      expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTimeout" } });
      expect(source.closed).toBe(true);
    });
  });

  describe("when the source is live", () => {
    it("waits for a lost source in the same room", async () => {
      let opened = 0;
      const {
        session: played,
        rooms,
        states,
      } = prepare({
        live: true,
        openSource: () => {
          opened += 1;
          const source = new ScriptedSource({ live: true }).push(...scriptedTags({ fromMs: 0, durationMs: 300 }));
          return Promise.resolve(opened === 1 ? source.finish({ name: "failed", error: lost("SourceLost") }) : source);
        },
      });
      const outcome = played.run();
      await eventually(() => expect(states).toEqual(["pushing", "reconnecting", "pushing"]));
      played.stop("tidy");
      expect(await outcome).toMatchObject({ name: "aborted" });
      expect(rooms).toHaveLength(1);
      const timestamps =
        rooms[0]?.media.filter(({ kind }) => kind === "video").map(({ timestampMs }) => timestampMs) ?? [];
      expect(timestamps).toEqual(timestamps.toSorted((a, b) => a - b));
    });

    it("fails with the first error when the source does not come back within the budget", async () => {
      const { session: played } = prepare({
        live: true,
        limits: { idleTimeoutMs: 300 },
        openSource: () =>
          Promise.resolve(
            new ScriptedSource({ live: true })
              .push(...scriptedTags({ fromMs: 0, durationMs: 50 }))
              .finish({ name: "failed", error: lost("SourceLost") }),
          ),
      });
      expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
    });
  });

  it("waits for a live source no longer than its budget, however often the source comes back for a moment", async () => {
    const { session: played, states } = prepare({
      live: true,
      limits: { idleTimeoutMs: 1_000, sourceSilenceMs: 200 },
      openSource: () =>
        Promise.resolve(new ScriptedSource({ live: true }).push(...scriptedTags({ fromMs: 0, durationMs: 100 }))),
    });
    expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTimeout" } });
    expect(states.filter((state) => state === "reconnecting").length).toBeGreaterThan(1);
  });

  describe("when the push has a playlist", () => {
    it("plays the items one after another without a gap, as many times as requested", async () => {
      const { openSource, sources } = library();
      const { session: played, rooms } = prepare({
        openSource,
        programme: { items: ["a:300", "b:300"], plays: 2 },
      });
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms).toHaveLength(1);
      expect(rooms[0]?.pictures()).toBe(36);
      expect(steps(rooms[0])).toEqual({ largestMs: expect.any(Number), back: 0 });
      expect(steps(rooms[0]).largestMs).toBeLessThanOrEqual(100);
      expect(sources.every(({ closed }) => closed)).toBe(true);
    });

    it("shows the last picture while an item cannot be reached for a moment", async () => {
      let tries = 0;
      const { openSource } = library();
      const {
        session: played,
        rooms,
        states,
      } = prepare({
        openSource: (request, signal) => {
          if (request.url !== "late:300") return openSource(request, signal);
          tries += 1;
          const isMissed = states.includes("reconnecting");
          return isMissed ? openSource(request, signal) : Promise.reject(lost("SourceUnreachable"));
        },
        programme: { items: ["a:300", "late:300"], plays: 1 },
      });
      expect(await played.run()).toEqual({ name: "finished" });
      expect(tries).toBeGreaterThan(1);
      expect(rooms).toHaveLength(1);
      expect(rooms[0]?.pictures()).toBe(18);
      expect(steps(rooms[0]).back).toBe(0);
      expect(states).toEqual(["pushing", "reconnecting", "pushing"]);
    });

    it("does not retry the next item while it is paused", async () => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
      try {
        let tries = 0;
        const { openSource } = library();
        const { session: played } = prepare({
          openSource: (request, signal) => {
            if (request.url !== "away") return openSource(request, signal);
            tries += 1;
            return Promise.reject(lost("SourceUnreachable"));
          },
          programme: { items: ["a:3000", "away"], plays: 1 },
        });
        await vi.advanceTimersByTimeAsync(1_500);
        expect(tries).toBeGreaterThan(1);
        await played.change({ IsPause: true });
        await vi.advanceTimersByTimeAsync(600);
        const before = tries;
        await vi.advanceTimersByTimeAsync(70_000);
        expect(tries).toBeLessThanOrEqual(before + 1);
        expect(played.snapshot()).toMatchObject({ state: "paused", item: 0 });
        played.stop("now");
        await vi.advanceTimersByTimeAsync(100);
        expect(await played.run()).toMatchObject({ name: "aborted" });
      } finally {
        vi.useRealTimers();
      }
    });

    it("starts at the requested item and position", async () => {
      const { openSource, opened } = library();
      const { session: played } = prepare({
        openSource,
        programme: { items: ["a:300", "b:400"], plays: 1 },
        startAt: { item: 1, positionMs: 200 },
      });
      await played.run();
      expect(opened.map(({ url, startAtMs }) => [url, startAtMs])).toEqual([["b:400", 200]]);
    });
  });

  describe("when it is changed", () => {
    async function playing(url: string, settings: Partial<Settings> = {}) {
      const shelf = library();
      const made = prepare({ openSource: shelf.openSource, programme: { items: [url], plays: 1 }, ...settings });
      await eventually(() => expect(made.rooms[0]?.pictures()).toBeGreaterThan(2));
      return { ...shelf, ...made };
    }

    it("switches to another source in the same room without a gap", async () => {
      const { session: played, rooms, sources } = await playing("a:9000");
      await played.change({ VideoSrc: "b:300" });
      expect(sources[0]?.closed).toBe(true);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms).toHaveLength(1);
      expect(steps(rooms[0]).largestMs).toBeLessThanOrEqual(100);
    });

    it("keeps the pictures evenly spaced when the source changes, at any moment", async () => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
      try {
        const { openSource } = library();
        const { session: played, rooms } = prepare({ openSource, programme: { items: ["a:9000"], plays: 1 } });
        await vi.advanceTimersByTimeAsync(500);
        const shownAtMs: number[] = [];
        const [room] = rooms;
        if (room === undefined) throw new Error("The room was not entered.");
        vi.spyOn(room, "send").mockImplementation(({ kind, payload }) => {
          if (kind === "video" && payload[1] === 1) shownAtMs.push(performance.now());
        });
        for (const url of ["b:9000", "c:9000", "d:9000", "e:9000"]) {
          await vi.advanceTimersByTimeAsync(303);
          const changed = played.change({ VideoSrc: url });
          await vi.advanceTimersByTimeAsync(200);
          await changed;
        }
        // Pictures that are 33 ms apart are sent at ticks of 20 ms.
        expect(Math.max(...shownAtMs.slice(1).map((at, n) => at - (shownAtMs[n] ?? at)))).toBeLessThanOrEqual(40);
        played.stop("now");
        await vi.advanceTimersByTimeAsync(100);
        await played.run();
      } finally {
        vi.useRealTimers();
      }
    });

    it("continues the current source and reports the error when the new one cannot be opened", async () => {
      const { session: played, rooms } = await playing("a:400");
      await expect(played.change({ VideoSrc: "bad" })).rejects.toMatchObject({
        code: "FailedOperation.SourceNotFound",
      });
      expect(await played.run()).toEqual({ name: "finished" });
      expect(rooms[0]?.pictures()).toBe(12);
    });

    it("rejects an older change as superseded when a newer one comes", async () => {
      const { session: played, slow, opened } = await playing("a:9000");
      const older = played.change({ VideoSrc: "slow-b:300" });
      await eventually(() => expect(slow.size).toBe(1));
      const newer = played.change({ VideoSrc: "c:300" });
      await expect(older).rejects.toMatchObject({ code: "FailedOperation.Superseded" });
      await newer;
      expect(await played.run()).toEqual({ name: "finished" });
      expect(opened.map(({ url }) => url)).toEqual(["a:9000", "slow-b:300", "c:300"]);
    });

    it("seeks forward and back", async () => {
      const { session: played } = await playing("a:20000");
      await played.change({ SeekSecond: 15 });
      expect(played.snapshot().positionMs).toBeGreaterThanOrEqual(15_000);
      await played.change({ SeekSecond: 2.5 });
      expect(played.snapshot().positionMs).toBeLessThan(3_000);
      played.stop("now");
      await played.run();
    });

    it("rejects a seek beyond the end and changes nothing", async () => {
      const { session: played } = await playing("a:9000");
      await expect(played.change({ SeekSecond: 9 })).rejects.toMatchObject({
        code: "InvalidParameterValue",
        message: expect.stringContaining("9.0 s long"),
      });
      expect(played.snapshot()).toMatchObject({ state: "pushing" });
      expect(played.snapshot().positionMs).toBeLessThan(5_000);
      played.stop("now");
      await played.run();
    });

    it("keeps the picture and the position in a pause and continues there when resumed", async () => {
      const { session: played, states, sources } = await playing("a:600");
      await played.change({ IsPause: true });
      const { positionMs } = played.snapshot();
      await eventually(() => expect(played.snapshot().state).toBe("paused"));
      await played.change({ IsPause: false });
      expect(played.snapshot().positionMs).toBeLessThan(positionMs + 100);
      expect(await played.run()).toEqual({ name: "finished" });
      expect(states).toEqual(["pushing", "paused", "pushing"]);
      expect(sources).toHaveLength(1);
    });

    it("opens the same source at its position when volume or tempo changes", async () => {
      const { session: played, opened } = await playing("a:9000");
      await played.change({ Volume: 50, Tempo: 1.5 });
      expect(opened[1]).toMatchObject({ url: "a:9000", volume: 50, tempo: 1.5 });
      expect(opened[1]?.startAtMs).toBeGreaterThan(0);
      played.stop("now");
      await played.run();
    });

    it("shows nothing twice when a source takes longer to open than the room plays meanwhile", async () => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
      try {
        const seconds = 60;
        const opened: number[] = [];
        const openSource = async ({ startAtMs }: SourceRequest) => {
          opened.push(startAtMs);
          if (opened.length > 1) await new Promise((resolve) => setTimeout(resolve, 20_000));
          // A copied source starts at its keyframe.
          return clip(seconds * 1000 - startAtMs, Math.floor(startAtMs / 1000) * 1000);
        };
        const { session: played } = prepare({ openSource });
        await vi.advanceTimersByTimeAsync(1000);
        const changed = played.change({ Volume: 50 });
        let position = 0;
        for (let n = 0; n < 480; n += 1) {
          await vi.advanceTimersByTimeAsync(100);
          const { positionMs } = played.snapshot();
          expect(positionMs).toBeGreaterThanOrEqual(position);
          position = positionMs;
        }
        await changed;
        expect(opened).toHaveLength(3);
        expect(position).toBeGreaterThan(40_000);
        played.stop("now");
        await vi.advanceTimersByTimeAsync(100);
        await played.run();
      } finally {
        vi.useRealTimers();
      }
    });

    it.each<[string, TaskUpdate, object]>([
      ["the audio track", { AudioTrack: "en" }, { audioTrack: "en", maxHeight: 1080 }],
      ["the rendition", { Rendition: "480p" }, { audioTrack: 2, maxHeight: 480 }],
    ])(
      "opens the same source at its position and keeps the other settings when %s changes",
      async (_what, update, expected) => {
        const { session: played, opened } = await playing("a:9000", { audioTrack: 2, maxHeight: 1080 });
        expect(opened[0]).toMatchObject({ audioTrack: 2, maxHeight: 1080 });
        await played.change(update);
        expect(opened[1]).toMatchObject({ url: "a:9000", volume: 100, tempo: 1, ...expected });
        expect(opened[1]?.startAtMs).toBeGreaterThan(0);
        // A change to the current values opens nothing.
        await played.change(update);
        expect(opened).toHaveLength(2);
        await played.change({ VideoSrc: "b:9000" });
        expect(opened[2]).toMatchObject({ url: "b:9000", ...expected });
        played.stop("now");
        await played.run();
      },
    );

    it("opens nothing when it switches to a preloaded source", async () => {
      const { session: played, opened } = await playing("a:9000");
      await played.change({ Preload: ["b:300", "c:300"] });
      await eventually(() => expect(opened).toHaveLength(3));
      await played.change({ VideoSrc: "c:300" });
      expect(opened).toHaveLength(3);
      expect(await played.run()).toEqual({ name: "finished" });
    });

    it("ends the task when a pause lasts too long", async () => {
      const shelf = library();
      const { session: played, rooms } = prepare({
        openSource: shelf.openSource,
        programme: { items: ["a:9000"], plays: 1 },
        limits: { longestPauseMs: 100 },
      });
      await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(2));
      await played.change({ IsPause: true });
      expect(await played.run()).toMatchObject({ name: "aborted", reason: expect.stringContaining("paused") });
    });
  });
});
