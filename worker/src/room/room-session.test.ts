import { type ActiveStateName, RoomcastError, type TaskUpdate } from "@roomcast/shared";
import pino from "pino";
import { describe, expect, it, vi } from "vitest";
import type { OutgoingMedia, Publisher } from "../publisher/publisher.ts";
import { ScriptedSource, scriptedTags } from "../source/scripted-source.ts";
import type { Source } from "../source/source.ts";
import type { PlayerLimits } from "./player.ts";
import type { SourceRequest } from "./prepared-source.ts";
import { RoomSession, type RoomStay, type StayOptions } from "./room-session.ts";

/** A room in memory: the real ones are met in the RTMP publisher's tests and in e2e. */
class MemoryRoom implements Publisher {
  onEnded: ((error: RoomcastError) => void) | undefined;
  queuedBytes = 0;
  sentBytes = 0;
  stopped = false;
  readonly media: OutgoingMedia[] = [];
  readonly #start: () => Promise<void>;

  constructor(start: () => Promise<void> = () => Promise.resolve()) {
    this.#start = start;
  }

  start(): Promise<void> {
    return this.#start();
  }

  sendMetadata(): void {}

  send(media: OutgoingMedia): void {
    this.media.push(media);
    this.sentBytes += media.payload.length;
  }

  stop(): Promise<void> {
    this.stopped = true;
    return Promise.resolve();
  }

  pictures(): number {
    return this.media.filter(({ kind, payload }) => kind === "video" && payload[1] === 1).length;
  }
}

function clip(durationMs: number, fromMs = 0): ScriptedSource {
  return new ScriptedSource({ durationMs: fromMs + durationMs }).push(...scriptedTags({ fromMs, durationMs })).finish();
}

interface Wishes extends Partial<Omit<StayOptions, "open" | "limits" | "roomLimits">> {
  readonly openSource: (request: SourceRequest, signal: AbortSignal) => Promise<Source>;
  readonly limits?: Partial<PlayerLimits>;
  readonly roomStallMs?: number;
  readonly returnBudgetMs?: number;
}

/** A room session and how tasks enter it; `rooms` are the connections that were made, `states` the first task's. */
function newSession() {
  const session = new RoomSession();
  const rooms: MemoryRoom[] = [];
  const states: ActiveStateName[] = [];
  const enter = (wishes: Wishes): RoomStay => {
    const { openSource, limits, roomStallMs = 15_000, returnBudgetMs = 60_000, ...others } = wishes;
    return session.enter({
      taskId: "task",
      open: openSource,
      createPublisher: () => {
        const room = new MemoryRoom();
        rooms.push(room);
        return room;
      },
      untilMayEnterAgain: () => Promise.resolve(),
      programme: { items: ["a"], plays: 1 },
      startAt: { item: 0, positionMs: 0 },
      volume: 100,
      tempo: 1,
      paused: false,
      preload: [],
      notBeforeMs: undefined,
      live: false,
      limits: {
        sourceSilenceMs: 15_000,
        idleTimeoutMs: 60_000,
        longestPauseMs: 12 * 3600 * 1000,
        longestPlayMs: Number.POSITIVE_INFINITY,
        ...limits,
      },
      roomLimits: { roomStallMs, returnBudgetMs },
      log: pino({ level: "silent" }),
      onState: (state) => states.push(state),
      ...others,
    });
  };
  return { session, rooms, states, enter };
}

/** One task in a session of its own. */
function prepare(wishes: Wishes) {
  const made = newSession();
  const stay = made.enter(wishes);
  const played = {
    run: () => stay.done,
    stop: (how: "now" | "tidy") => stay.stop(how),
    snapshot: () => stay.snapshot(),
    change: (update: TaskUpdate) => stay.change(update),
  };
  return { ...made, session: played };
}

const lost = (code: "RoomLost" | "RoomReplaced" | "SourceLost" | "SourceTruncated") =>
  new RoomcastError(`FailedOperation.${code}`, "gone");

describe("a recorded source", () => {
  it("is played to its last picture, and the room is left", async () => {
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

  it("that fails half-way ends the session with its error after all that was good was sent", async () => {
    const source = new ScriptedSource({ durationMs: 10_000 });
    source.push(...scriptedTags({ fromMs: 0, durationMs: 300 }));
    source.finish({ name: "failed", error: lost("SourceTruncated") });
    const { session: played, rooms } = prepare({ openSource: () => Promise.resolve(source) });
    expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTruncated" } });
    expect(rooms[0]?.pictures()).toBe(9);
    expect(rooms[0]?.stopped).toBe(true);
  });

  it("that goes silent is given up with a time-out", async () => {
    const source = new ScriptedSource({ durationMs: 10_000 }).push(...scriptedTags({ fromMs: 0, durationMs: 100 }));
    const { session: played } = prepare({
      openSource: () => Promise.resolve(source),
      limits: { sourceSilenceMs: 200 },
    });
    expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTimeout" } });
    expect(source.closed).toBe(true);
  });
});

describe("a start", () => {
  it("that the room refuses closes the source that was opened beside it", async () => {
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

  it("whose source fails leaves the room, also while the room is still being dialled", async () => {
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

  it("that is stopped while the source opens ends aborted and tells the source", async () => {
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

describe("a room that is lost", () => {
  it("is entered anew, and a recorded source goes on where the room stopped seeing it", async () => {
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
    await vi.waitFor(() => expect(rooms[0]?.pictures()).toBeGreaterThan(5));
    rooms[0]?.onEnded?.(lost("RoomLost"));
    expect(await outcome).toEqual({ name: "finished" });
    expect(rooms).toHaveLength(2);
    expect(openedAt[0]).toBe(0);
    expect(openedAt[1]).toBeGreaterThan(150);
    expect(states).toEqual(["pushing", "reconnecting", "pushing"]);
  });

  it("to another publisher is not fought for", async () => {
    const { session: played, rooms } = prepare({ openSource: () => Promise.resolve(clip(5_000)) });
    const outcome = played.run();
    await vi.waitFor(() => expect(rooms[0]?.pictures()).toBeGreaterThan(0));
    rooms[0]?.onEnded?.(lost("RoomReplaced"));
    expect(await outcome).toMatchObject({ name: "failed", error: { code: "FailedOperation.RoomReplaced" } });
    expect(rooms).toHaveLength(1);
  });

  it("because it takes nothing is found out", async () => {
    const { session: played, rooms } = prepare({
      openSource: () => Promise.resolve(clip(5_000)),
      roomStallMs: 100,
      returnBudgetMs: 0,
    });
    const outcome = played.run();
    await vi.waitFor(() => expect(rooms[0]?.pictures()).toBeGreaterThan(0));
    if (rooms[0] !== undefined) rooms[0].queuedBytes = 64 * 1024 * 1024;
    expect(await outcome).toMatchObject({ name: "failed", error: { code: "FailedOperation.RoomLost" } });
  });
});

describe("a live source", () => {
  it("that is lost is waited for in the same room", async () => {
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
    await vi.waitFor(() => expect(states).toEqual(["pushing", "reconnecting", "pushing"]), 5_000);
    played.stop("tidy");
    expect(await outcome).toMatchObject({ name: "aborted" });
    expect(rooms).toHaveLength(1);
    const timestamps =
      rooms[0]?.media.filter(({ kind }) => kind === "video").map(({ timestampMs }) => timestampMs) ?? [];
    expect(timestamps).toEqual(timestamps.toSorted((a, b) => a - b));
  });

  it("that does not come back within the budget ends the session with what was lost first", async () => {
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

/** Clips by their URL, `name:durationMs`; `bad` cannot be opened, `slow:…` is opened by the test. */
function library() {
  const opened: SourceRequest[] = [];
  const sources: ScriptedSource[] = [];
  const slow = new Map<string, PromiseWithResolvers<void>>();
  const openSource = async (request: SourceRequest, signal: AbortSignal): Promise<Source> => {
    opened.push(request);
    if (request.url === "bad") throw new RoomcastError("FailedOperation.SourceNotFound", "There is no such file.");
    if (request.url.startsWith("slow")) {
      const gate = Promise.withResolvers<void>();
      slow.set(request.url, gate);
      signal.addEventListener("abort", () => gate.reject(signal.reason));
      await gate.promise;
    }
    const durationMs = Number(request.url.split(":")[1]);
    const source = clip(durationMs - request.startAtMs, request.startAtMs);
    sources.push(source);
    return source;
  };
  return { opened, sources, slow, openSource };
}

function steps(room: MemoryRoom | undefined): { largestMs: number; back: number } {
  const timestamps = room?.media.filter(({ kind }) => kind === "video").map(({ timestampMs }) => timestampMs) ?? [];
  const gaps = timestamps.slice(1).map((at, n) => at - (timestamps[n] ?? 0));
  return { largestMs: Math.max(0, ...gaps), back: gaps.filter((gap) => gap < 0).length };
}

it("waits for a live source no longer than its budget, however often it comes back for a moment", async () => {
  const { session: played, states } = prepare({
    live: true,
    limits: { idleTimeoutMs: 1_000, sourceSilenceMs: 200 },
    openSource: () =>
      Promise.resolve(new ScriptedSource({ live: true }).push(...scriptedTags({ fromMs: 0, durationMs: 100 }))),
  });
  expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTimeout" } });
  expect(states.filter((state) => state === "reconnecting").length).toBeGreaterThan(1);
});

describe("a playlist", () => {
  it("is played one after another without a gap, as often as asked", async () => {
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

  it("ends with the error of a source that cannot be opened, after what was before it", async () => {
    const { openSource } = library();
    const { session: played, rooms } = prepare({ openSource, programme: { items: ["a:300", "bad"], plays: 1 } });
    expect(await played.run()).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceNotFound" } });
    expect(rooms[0]?.pictures()).toBe(9);
  });

  it("begins where it is told to", async () => {
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

describe("a change", () => {
  async function playing(url: string) {
    const shelf = library();
    const made = prepare({ openSource: shelf.openSource, programme: { items: [url], plays: 1 } });
    await vi.waitFor(() => expect(made.rooms[0]?.pictures()).toBeGreaterThan(2));
    return { ...shelf, ...made };
  }

  it("to another source is made in the same room without a gap", async () => {
    const { session: played, rooms, sources } = await playing("a:9000");
    await played.change({ VideoSrc: "b:300" });
    expect(sources[0]?.closed).toBe(true);
    expect(await played.run()).toEqual({ name: "finished" });
    expect(rooms).toHaveLength(1);
    expect(steps(rooms[0]).largestMs).toBeLessThanOrEqual(100);
  });

  it("to a source that cannot be opened leaves the current one playing, and says why", async () => {
    const { session: played, rooms } = await playing("a:400");
    await expect(played.change({ VideoSrc: "bad" })).rejects.toMatchObject({ code: "FailedOperation.SourceNotFound" });
    expect(await played.run()).toEqual({ name: "finished" });
    expect(rooms[0]?.pictures()).toBe(12);
  });

  it("during a change: the newest wins, the older one is told so", async () => {
    const { session: played, slow, opened } = await playing("a:9000");
    const older = played.change({ VideoSrc: "slow-b:300" });
    await vi.waitFor(() => expect(slow.size).toBe(1));
    const newer = played.change({ VideoSrc: "c:300" });
    await expect(older).rejects.toMatchObject({ code: "FailedOperation.Superseded" });
    await newer;
    expect(await played.run()).toEqual({ name: "finished" });
    expect(opened.map(({ url }) => url)).toEqual(["a:9000", "slow-b:300", "c:300"]);
  });

  it("of the position goes to it, forward and back", async () => {
    const { session: played } = await playing("a:20000");
    await played.change({ SeekSecond: 15 });
    expect(played.snapshot().positionMs).toBeGreaterThanOrEqual(15_000);
    await played.change({ SeekSecond: 2.5 });
    expect(played.snapshot().positionMs).toBeLessThan(3_000);
    played.stop("now");
    await played.run();
  });

  it("to a pause holds the picture and the position; going on continues there", async () => {
    const { session: played, states, sources } = await playing("a:600");
    await played.change({ IsPause: true });
    const { positionMs } = played.snapshot();
    await vi.waitFor(() => expect(played.snapshot().state).toBe("paused"));
    await played.change({ IsPause: false });
    expect(played.snapshot().positionMs).toBeLessThan(positionMs + 100);
    expect(await played.run()).toEqual({ name: "finished" });
    expect(states).toEqual(["pushing", "paused", "pushing"]);
    expect(sources).toHaveLength(1);
  });

  it("of loudness or tempo opens the same source where it stands", async () => {
    const { session: played, opened } = await playing("a:9000");
    await played.change({ Volume: 50, Tempo: 1.5 });
    expect(opened[1]).toMatchObject({ url: "a:9000", volume: 50, tempo: 1.5 });
    expect(opened[1]?.startAtMs).toBeGreaterThan(0);
    played.stop("now");
    await played.run();
  });

  it("to a source that was preloaded opens nothing more", async () => {
    const { session: played, opened } = await playing("a:9000");
    await played.change({ Preload: ["b:300", "c:300"] });
    await vi.waitFor(() => expect(opened).toHaveLength(3));
    await played.change({ VideoSrc: "c:300" });
    expect(opened).toHaveLength(3);
    expect(await played.run()).toEqual({ name: "finished" });
  });

  it("to a pause that lasts too long ends the task", async () => {
    const shelf = library();
    const { session: played, rooms } = prepare({
      openSource: shelf.openSource,
      programme: { items: ["a:9000"], plays: 1 },
      limits: { longestPauseMs: 100 },
    });
    await vi.waitFor(() => expect(rooms[0]?.pictures()).toBeGreaterThan(2));
    await played.change({ IsPause: true });
    expect(await played.run()).toMatchObject({ name: "aborted", reason: expect.stringContaining("paused") });
  });
});

describe("a second task on the seat", () => {
  async function takeover(url: string, before: (first: RoomStay) => void = () => {}) {
    const shelf = library();
    const made = newSession();
    const first = made.enter({
      taskId: "first",
      openSource: shelf.openSource,
      programme: { items: ["a:700"], plays: 1 },
    });
    await vi.waitFor(() => expect(made.rooms[0]?.pictures()).toBeGreaterThan(2));
    before(first);
    const second = made.enter({
      taskId: "second",
      openSource: shelf.openSource,
      programme: { items: [url], plays: 1 },
    });
    return { ...shelf, ...made, first, second };
  }

  it("takes it over when its source is ready: same room, no gap, and the first is told by whom", async () => {
    const { first, second, rooms, session } = await takeover("b:300");
    expect(await first.done).toEqual({ name: "replaced", byTaskId: "second" });
    expect(await second.done).toEqual({ name: "finished" });
    expect(rooms).toHaveLength(1);
    expect(steps(rooms[0]).largestMs).toBeLessThanOrEqual(100);
    expect(session.ended).toBe(true);
  });

  it("whose source cannot be opened fails alone: the first plays to its end", async () => {
    const { first, second, rooms } = await takeover("bad");
    expect(await second.done).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceNotFound" } });
    expect(await first.done).toEqual({ name: "finished" });
    expect(rooms[0]?.pictures()).toBe(21);
  });

  it("keeps the room when the first ends before its source is ready", async () => {
    const { first, second, rooms, slow } = await takeover("slow:300");
    expect(await first.done).toEqual({ name: "finished" });
    expect(rooms[0]?.stopped).toBe(false);
    slow.get("slow:300")?.resolve();
    expect(await second.done).toEqual({ name: "finished" });
    expect(rooms).toHaveLength(1);
  });

  it("enters the room anew when it comes while the first, which was stopped, is leaving", async () => {
    const { first, second, rooms, session } = await takeover("b:300", (stay) => stay.stop("now"));
    expect(await first.done).toEqual({ name: "aborted", reason: "" });
    expect(await second.done).toEqual({ name: "finished" });
    expect(rooms.map((room) => room.stopped)).toEqual([true, true]);
    expect(rooms[1]?.pictures()).toBe(9);
    expect(session.ended).toBe(true);
  });

  it("is itself replaced by a third that comes before it is ready", async () => {
    const { first, second, enter, openSource } = await takeover("slow:300");
    const third = enter({ taskId: "third", openSource, programme: { items: ["c:200"], plays: 1 } });
    expect(await second.done).toEqual({ name: "replaced", byTaskId: "third" });
    expect(await first.done).toEqual({ name: "replaced", byTaskId: "third" });
    expect(await third.done).toEqual({ name: "finished" });
  });
});

describe("a start at a set time", () => {
  it("shows its first picture then and not before", async () => {
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
