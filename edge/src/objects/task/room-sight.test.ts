import { expect, test } from "vitest";
import type { TaskRoomEvent } from "../../model/task-room-event.ts";
import { afterRoomEvent, DISMISSED_WAIT_MS, type RoomSight, roomOver } from "./room-sight.ts";

type Step = Pick<TaskRoomEvent, "kind" | "atMs"> & Partial<TaskRoomEvent>;

/** The events as they come, each a second after the one before by the edge's clock; others are in the room. */
function after(...steps: readonly Step[]): RoomSight {
  const events = steps.map((step): TaskRoomEvent => ({ own: true, removed: false, others: 2, ...step }));
  const seen = events.reduce<RoomSight | undefined>(
    (room, event, at) => afterRoomEvent(room, event, (at + 1) * 1000),
    undefined,
  );
  if (seen === undefined) throw new Error("there was no event");
  return seen;
}

test.each<[string, Step[], number | null]>([
  [
    "its picture began",
    [
      { kind: "entered", atMs: 5 },
      { kind: "videoStarted", atMs: 7 },
    ],
    7,
  ],
  ["it has only entered", [{ kind: "entered", atMs: 5 }], null],
  [
    "its picture was turned off",
    [
      { kind: "videoStarted", atMs: 7 },
      { kind: "videoStopped", atMs: 9 },
    ],
    null,
  ],
  [
    "it has left, of which no event of the picture comes",
    [
      { kind: "videoStarted", atMs: 7 },
      { kind: "left", atMs: 9 },
    ],
    null,
  ],
  [
    "it is back",
    [
      { kind: "left", atMs: 9 },
      { kind: "entered", atMs: 10 },
      { kind: "videoStarted", atMs: 12 },
    ],
    12,
  ],
  [
    "an older end comes late",
    [
      { kind: "videoStarted", atMs: 12 },
      { kind: "left", atMs: 9 },
    ],
    12,
  ],
  ["another one's picture began", [{ kind: "videoStarted", atMs: 7, own: false }], null],
])("the room has the push's picture or not, where %s", (_what, steps, confirmedAtMs) => {
  expect(after(...steps).confirmedAtMs).toBe(confirmedAtMs);
});

test.each<[string, Step[], number | null]>([
  [
    "is dismissed under the push",
    [
      { kind: "videoStarted", atMs: 7 },
      { kind: "dismissed", atMs: 9 },
    ],
    2000,
  ],
  ["is dismissed before anything was heard of the push", [{ kind: "dismissed", atMs: 9 }], 1000],
  [
    "is dismissed, which takes all users out",
    [
      { kind: "dismissed", atMs: 9 },
      { kind: "left", atMs: 9, removed: true },
    ],
    1000,
  ],
  [
    "ends because the push's connection was lost",
    [
      { kind: "left", atMs: 8 },
      { kind: "dismissed", atMs: 9 },
    ],
    null,
  ],
  [
    "ends so, and the events come in another order",
    [
      { kind: "dismissed", atMs: 9 },
      { kind: "left", atMs: 8 },
    ],
    null,
  ],
  [
    "is made again by the push",
    [
      { kind: "dismissed", atMs: 9 },
      { kind: "entered", atMs: 10 },
    ],
    null,
  ],
])("a push whose room %s", (_what, steps, sinceMs) => {
  const expected = sinceMs === null ? null : { atMs: sinceMs + DISMISSED_WAIT_MS, reason: "the room was dismissed" };
  expect(roomOver(after(...steps), undefined)).toEqual(expected);
});

test.each<[string, Step[], number | undefined, number | null]>([
  ["others are there", [{ kind: "entered", atMs: 1 }], 60, null],
  ["nobody else ever came", [{ kind: "entered", atMs: 1, others: 0 }], 60, 61_000],
  [
    "the last one has left",
    [
      { kind: "entered", atMs: 1 },
      { kind: "left", atMs: 2, own: false, others: 0 },
    ],
    60,
    62_000,
  ],
  [
    "events go on in an empty room",
    [
      { kind: "entered", atMs: 1, others: 0 },
      { kind: "videoStarted", atMs: 2, others: 0 },
    ],
    60,
    61_000,
  ],
  [
    "somebody has come back",
    [
      { kind: "entered", atMs: 1, others: 0 },
      { kind: "entered", atMs: 2, own: false, others: 1 },
    ],
    60,
    null,
  ],
  ["it is empty and nobody has asked", [{ kind: "entered", atMs: 1, others: 0 }], undefined, null],
])("a push with EmptyRoomTimeout ends or not, where %s", (_what, steps, timeoutS, atMs) => {
  expect(roomOver(after(...steps), timeoutS)?.atMs ?? null).toBe(atMs);
});
