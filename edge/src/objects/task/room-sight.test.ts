import { describe, expect, it } from "vitest";
import type { TaskRoomEvent } from "../../model/task-room-event.ts";
import { afterRoomEvent, DISMISSED_WAIT_MS, type RoomSight, roomOver } from "./room-sight.ts";

type Step = Pick<TaskRoomEvent, "kind" | "atMs"> & Partial<TaskRoomEvent>;

/** Applies the events, each one second after the one before by the edge's clock, in a room with other users. */
function after(...steps: readonly Step[]): RoomSight {
  const events = steps.map((step): TaskRoomEvent => ({ own: true, removed: false, others: 2, ...step }));
  const seen = events.reduce<RoomSight | undefined>(
    (room, event, at) => afterRoomEvent(room, event, (at + 1) * 1000),
    undefined,
  );
  if (seen === undefined) throw new Error("there was no event");
  return seen;
}

describe("Room sight", () => {
  it.each<[string, Step[], number | null]>([
    [
      "confirms the picture when the push's video has started",
      [
        { kind: "entered", atMs: 5 },
        { kind: "videoStarted", atMs: 7 },
      ],
      7,
    ],
    ["does not confirm the picture when the push has only entered", [{ kind: "entered", atMs: 5 }], null],
    [
      "no longer confirms the picture when the push's video has stopped",
      [
        { kind: "videoStarted", atMs: 7 },
        { kind: "videoStopped", atMs: 9 },
      ],
      null,
    ],
    [
      "no longer confirms the picture when the push has left without a video event",
      [
        { kind: "videoStarted", atMs: 7 },
        { kind: "left", atMs: 9 },
      ],
      null,
    ],
    [
      "confirms the picture again when the push has come back",
      [
        { kind: "left", atMs: 9 },
        { kind: "entered", atMs: 10 },
        { kind: "videoStarted", atMs: 12 },
      ],
      12,
    ],
    [
      "still confirms the picture when an older leave event comes late",
      [
        { kind: "videoStarted", atMs: 12 },
        { kind: "left", atMs: 9 },
      ],
      12,
    ],
    [
      "does not confirm the picture when another user's video has started",
      [{ kind: "videoStarted", atMs: 7, own: false }],
      null,
    ],
  ])("%s", (_what, steps, confirmedAtMs) => {
    expect(after(...steps).confirmedAtMs).toBe(confirmedAtMs);
  });

  it.each<[string, Step[], number | null]>([
    [
      "ends the push when its room is dismissed",
      [
        { kind: "videoStarted", atMs: 7 },
        { kind: "dismissed", atMs: 9 },
      ],
      2000,
    ],
    ["ends the push when its room is dismissed before any other event", [{ kind: "dismissed", atMs: 9 }], 1000],
    [
      "ends the push when the dismissal of its room removed all users",
      [
        { kind: "dismissed", atMs: 9 },
        { kind: "left", atMs: 9, removed: true },
      ],
      1000,
    ],
    [
      "does not end the push when its room is dismissed because the push's connection was lost",
      [
        { kind: "left", atMs: 8 },
        { kind: "dismissed", atMs: 9 },
      ],
      null,
    ],
    [
      "does not end the push when its lost connection dismissed the room and the events come in another order",
      [
        { kind: "dismissed", atMs: 9 },
        { kind: "left", atMs: 8 },
      ],
      null,
    ],
    [
      "does not end the push when the push created the dismissed room again",
      [
        { kind: "dismissed", atMs: 9 },
        { kind: "entered", atMs: 10 },
      ],
      null,
    ],
  ])("%s", (_what, steps, sinceMs) => {
    const expected = sinceMs === null ? null : { atMs: sinceMs + DISMISSED_WAIT_MS, reason: "the room was dismissed" };
    expect(roomOver(after(...steps), undefined)).toEqual(expected);
  });

  it.each<[string, Step[], number | undefined, number | null]>([
    [
      "does not end a push with EmptyRoomTimeout while others are in the room",
      [{ kind: "entered", atMs: 1 }],
      60,
      null,
    ],
    [
      "ends a push with EmptyRoomTimeout when nobody else ever came",
      [{ kind: "entered", atMs: 1, others: 0 }],
      60,
      61_000,
    ],
    [
      "ends a push with EmptyRoomTimeout after the last other user has left",
      [
        { kind: "entered", atMs: 1 },
        { kind: "left", atMs: 2, own: false, others: 0 },
      ],
      60,
      62_000,
    ],
    [
      "does not extend EmptyRoomTimeout when events of the push continue in an empty room",
      [
        { kind: "entered", atMs: 1, others: 0 },
        { kind: "videoStarted", atMs: 2, others: 0 },
      ],
      60,
      61_000,
    ],
    [
      "does not end a push with EmptyRoomTimeout when somebody has come back",
      [
        { kind: "entered", atMs: 1, others: 0 },
        { kind: "entered", atMs: 2, own: false, others: 1 },
      ],
      60,
      null,
    ],
    [
      "does not end a push in an empty room without EmptyRoomTimeout",
      [{ kind: "entered", atMs: 1, others: 0 }],
      undefined,
      null,
    ],
  ])("%s", (_what, steps, timeoutS, atMs) => {
    expect(roomOver(after(...steps), timeoutS)?.atMs ?? null).toBe(atMs);
  });
});
