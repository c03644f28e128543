import { RoomcastError } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { FailedItems, namingItem } from "./failed-items.ts";

const NOT_FOUND = new RoomcastError("FailedOperation.SourceNotFound", "There is no such file.");
const NOT_MEDIA = new RoomcastError("FailedOperation.SourceNotMedia", "It is no video.");
const THREE = { items: ["a", "b", "c"], plays: Number.POSITIVE_INFINITY };

function fail(items: FailedItems, item: number, { round = 0, error = NOT_FOUND, programme = THREE } = {}) {
  return items.failed({ programme, place: { item, round }, error });
}

describe("FailedItems", () => {
  it("skips an item that fails and names it", () => {
    expect(fail(new FailedItems("skip"), 1)).toMatchObject({
      name: "skip",
      next: { item: 2, round: 0 },
      error: { message: "Item 2 of 3, round 1: There is no such file." },
    });
  });

  it("fails with the first cause when a whole round of items fails", () => {
    const items = new FailedItems("skip");
    items.seenWell();
    expect([fail(items, 1).name, fail(items, 2, { error: NOT_MEDIA }).name]).toEqual(["skip", "skip"]);
    expect(fail(items, 0, { round: 1, error: NOT_MEDIA })).toMatchObject({
      name: "fail",
      error: {
        code: "FailedOperation.SourceNotFound",
        message: "None of the 3 items could be played. Item 2 of 3, round 1: There is no such file.",
      },
    });
  });

  it("counts failures again from zero after an item played well", () => {
    const items = new FailedItems("skip");
    for (let round = 0; round < 20; round += 1) {
      expect([fail(items, 1, { round }).name, fail(items, 2, { round }).name]).toEqual(["skip", "skip"]);
      items.seenWell();
    }
  });

  it("fails after the last item only if no item has played", () => {
    const programme = { items: ["a", "b"], plays: 1 };
    const items = new FailedItems("skip");
    expect(fail(items, 1, { programme })).toMatchObject({ name: "fail", error: { code: NOT_FOUND.code } });
    items.seenWell();
    expect(fail(items, 1, { programme })).toMatchObject({ name: "skip", next: null });
  });

  it("fails with the item's error when it is configured to fail, or when there is no other item", () => {
    expect(fail(new FailedItems("fail"), 2)).toMatchObject({
      name: "fail",
      error: { message: "Item 3 of 3, round 1: There is no such file." },
    });
    const single = { items: ["a"], plays: 1 };
    expect(fail(new FailedItems("skip"), 0, { programme: single })).toEqual({ name: "fail", error: NOT_FOUND });
  });
});

describe("namingItem", () => {
  it.each([
    [1, 1, 0, "There is no such file."],
    [1, 5, 0, "There is no such file."],
    [1, 5, 3, "Round 4: There is no such file."],
    [2, 1, 0, "Item 1 of 2: There is no such file."],
    [2, 3, 1, "Item 1 of 2, round 2: There is no such file."],
  ])("makes of %i items played %i times, in round %i, the message %s", (count, plays, round, message) => {
    const programme = { items: Array.from({ length: count }, () => "a"), plays };
    expect(namingItem(NOT_FOUND, programme, { item: 0, round })).toMatchObject({ code: NOT_FOUND.code, message });
  });
});
