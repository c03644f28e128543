import type { TaskState } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { newRecord, type TaskRecord } from "../objects/task/task-record.ts";
import { BEGINNING, type CallbackEvent, tell } from "./callback-event.ts";

const holder = { region: "ap-a", workerId: "w" };
const error = { code: "FailedOperation.SourceNotFound", message: "gone", retryable: false } as const;

/** A state by its name and attempt, each a millisecond after the one before. */
function stateOf([name, attempt]: readonly [TaskState["name"], number], sinceMs: number): TaskState {
  if (name === "failed") return { name, sinceMs, attempt, error };
  if (name === "aborted") return { name, sinceMs, attempt, reason: "stopped by the user" };
  if (name === "queued" || name === "finished") return { name, sinceMs, attempt };
  return { name, sinceMs, attempt, holder };
}

const BASE: TaskRecord = newRecord(
  {
    taskId: "t",
    region: "ap-a",
    request: { VideoSrc: "https://a.example/x", SdkAppId: 1, RoomId: 1, UserId: "u", Mode: "vod", Redis: false },
    sealedRequest: "sealed",
    replaces: [],
  },
  0,
);

function told(states: readonly (readonly [TaskState["name"], number])[], wanted: "trtc" | "all"): CallbackEvent[] {
  let story = BEGINNING;
  return states.flatMap((state, index) => {
    const answer = tell(story, { ...BASE, state: stateOf(state, index) }, wanted);
    story = answer.story;
    return answer.events;
  });
}

function trtc(states: readonly (readonly [TaskState["name"], number])[]): string[] {
  return told(states, "trtc").map((event) => (event.kind === "trtc" ? `${event.type}/${event.status}` : "other"));
}

const RUNNING = [
  ["queued", 1],
  ["starting", 1],
  ["pushing", 1],
] as const;

describe("tell", () => {
  it.each([
    ["plays to its end", [...RUNNING, ["finished", 1]], ["701/0", "702/0"]],
    ["is stopped", [...RUNNING, ["aborted", 1]], ["701/0", "702/0"]],
    ["fails on the way", [...RUNNING, ["failed", 1]], ["701/0", "702/0"]],
    [
      "cannot be started",
      [
        ["queued", 1],
        ["starting", 1],
        ["failed", 1],
      ],
      ["701/1"],
    ],
    [
      "finds no worker",
      [
        ["queued", 1],
        ["failed", 1],
      ],
      ["701/1"],
    ],
    [
      "is stopped before it starts",
      [
        ["queued", 1],
        ["aborted", 1],
      ],
      ["702/0"],
    ],
    ["is paused and goes on", [...RUNNING, ["paused", 1], ["pushing", 1]], ["701/0"]],
    ["is lost and comes back", [...RUNNING, ["reconnecting", 1], ["pushing", 1]], ["701/0", "701/2"]],
    ["goes on at another worker", [...RUNNING, ["queued", 2], ["starting", 2], ["pushing", 2]], ["701/0", "701/2"]],
    [
      "is lost, paused and comes back",
      [...RUNNING, ["reconnecting", 1], ["paused", 1], ["pushing", 1], ["finished", 1]],
      ["701/0", "701/2", "702/0"],
    ],
    [
      "is refused by its first worker",
      [
        ["queued", 1],
        ["starting", 1],
        ["queued", 2],
        ["starting", 2],
        ["pushing", 2],
      ],
      ["701/0"],
    ],
    ["is reported again and again", [...RUNNING, ["pushing", 1], ["pushing", 1]], ["701/0"]],
  ] as const)("returns the TRTC events of a task that %s", (_what, states, events) => {
    expect(trtc(states)).toEqual(events);
  });

  it("returns every change of state, numbered, before the TRTC events when all events are wanted", () => {
    const events = told([...RUNNING, ["queued", 2], ["failed", 2]], "all");
    expect(events.map((event) => (event.kind === "task" ? `${event.seq} ${event.state}` : event.kind))).toEqual([
      "1 queued",
      "2 starting",
      "3 pushing",
      "trtc",
      "4 queued",
      "5 failed",
      "trtc",
    ]);
    expect(events.at(-2)).toMatchObject({ error, reason: null, attempt: 2, atMs: 4 });
  });

  it("returns one event for each item that was passed over when all events are wanted", () => {
    const pushing = { ...BASE, state: stateOf(["pushing", 1], 3) };
    const skip = (count: number, attempt = 1) => ({ ...pushing, skipped: { attempt, count, item: count, error } });
    const first = tell(tell(BEGINNING, pushing, "all").story, skip(1), "all");
    expect(first.events).toEqual([expect.objectContaining({ kind: "item", item: 1, count: 1, error, seq: 2 })]);
    expect(tell(first.story, skip(1), "all").events).toEqual([]);
    expect(tell(first.story, skip(3), "all").events).toMatchObject([{ kind: "item", count: 3, seq: 3 }]);
    // Another worker counts from one.
    expect(tell(first.story, skip(1, 2), "all").events).toMatchObject([{ kind: "item", attempt: 2 }]);
    expect(tell(first.story, skip(2), "trtc").events).toEqual([]);
  });
});
