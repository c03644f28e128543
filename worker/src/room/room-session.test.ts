import { type ActiveStateName, RoomcastError } from "@roomcast/shared";
import pino from "pino";
import { describe, expect, it, vi } from "vitest";
import type { OutgoingMedia, Publisher } from "../publisher/publisher.ts";
import { ScriptedSource, scriptedTags } from "../source/scripted-source.ts";
import type { Source } from "../source/source.ts";
import { RoomSession, type RoomSessionOptions } from "./room-session.ts";

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

function prepare(options: Partial<RoomSessionOptions> & Pick<RoomSessionOptions, "openSource">) {
  const rooms: MemoryRoom[] = [];
  const states: ActiveStateName[] = [];
  const session = new RoomSession({
    createPublisher: () => {
      const room = new MemoryRoom();
      rooms.push(room);
      return room;
    },
    startAtMs: 0,
    live: false,
    log: pino({ level: "silent" }),
    onState: (state) => states.push(state),
    ...options,
  });
  return { session, rooms, states };
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
      openSource: (_startAtMs, signal) =>
        new Promise<Source>((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            told = true;
            reject(new Error("aborted"));
          });
        }),
    });
    const outcome = played.run();
    played.stop("now");
    expect(await outcome).toEqual({ name: "aborted" });
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
      openSource: (startAtMs) => {
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
      limits: { roomStallMs: 100, reconnectBudgetMs: 0 },
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
    expect(await outcome).toEqual({ name: "aborted" });
    expect(rooms).toHaveLength(1);
    const timestamps =
      rooms[0]?.media.filter(({ kind }) => kind === "video").map(({ timestampMs }) => timestampMs) ?? [];
    expect(timestamps).toEqual(timestamps.toSorted((a, b) => a - b));
  });

  it("that does not come back within the budget ends the session with what was lost first", async () => {
    const { session: played } = prepare({
      live: true,
      limits: { reconnectBudgetMs: 300 },
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
