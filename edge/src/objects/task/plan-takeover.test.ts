import { describe, expect, it } from "vitest";
import type { SeatHolder } from "../../contracts/task-object.ts";
import { leftToAsk, planTakeover } from "./plan-takeover.ts";

const holder = (taskId: string, rest: Partial<SeatHolder> = {}): SeatHolder => ({
  taskId,
  region: "ap-x",
  workerId: "w",
  stopping: false,
  ...rest,
});
const BESIDE = { kind: "beside", region: "ap-x", workerId: "w" } as const;
const NOBODY = { pinnedRegion: null, avoidWorkerId: null };

describe("planTakeover and leftToAsk", () => {
  it.each<[string, readonly SeatHolder[], Partial<typeof NOBODY> | object, object]>([
    ["places a task freely when nobody holds the seat", [], {}, { kind: "free" }],
    ["places a task beside the holder of its seat", [holder("a")], {}, BESIDE],
    ["places a task beside two holders on the same worker", [holder("a"), holder("b")], {}, BESIDE],
    [
      "places a task after its holders when they are on two workers",
      [holder("a"), holder("b", { workerId: "v" })],
      {},
      { kind: "after" },
    ],
    ["places a task after a holder that is being stopped", [holder("a", { stopping: true })], {}, { kind: "after" }],
    [
      "places a task after the holder when the holder's worker has refused it",
      [holder("a")],
      { avoidWorkerId: "w" },
      { kind: "after" },
    ],
    ["places a task beside a holder in the requested region", [holder("a")], { pinnedRegion: "ap-x" }, BESIDE],
    [
      "places a task after a holder in another region than the requested one",
      [holder("a")],
      { pinnedRegion: "ap-y" },
      { kind: "after" },
    ],
  ])("%s", (_what, holders, newcomer, takeover) => {
    expect(planTakeover(holders, { ...NOBODY, ...newcomer })).toEqual(takeover);
  });

  it.each<[string, Parameters<typeof leftToAsk>[1], readonly string[]]>([
    ["the tasks that a waiting task still had to ask", { kind: "over", before: ["c", "b", "a"] }, ["c", "b", "a"]],
    ["the tasks that a task on a worker found there", { kind: "holds", before: ["a"], ...holder("d") }, ["a"]],
    ["no tasks after one that the room sees", { kind: "holds", before: [], ...holder("d") }, []],
    ["the known older tasks after one that was deleted", { kind: "gone" }, ["c", "b"]],
  ])("leave to ask %s", (_what, answer, next) => {
    expect(leftToAsk(["c", "b"], answer)).toEqual(next);
  });
});
