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
    ["nobody holds the seat any more", [], {}, { kind: "free" }],
    ["one plays in it", [holder("a")], {}, BESIDE],
    ["one plays in it and another is on its way on the same worker", [holder("a"), holder("b")], {}, BESIDE],
    ["they are on two workers", [holder("a"), holder("b", { workerId: "v" })], {}, { kind: "after" }],
    ["the one is being stopped", [holder("a", { stopping: true })], {}, { kind: "after" }],
    ["its worker has refused the newcomer", [holder("a")], { avoidWorkerId: "w" }, { kind: "after" }],
    ["it is in the region that the newcomer asks for", [holder("a")], { pinnedRegion: "ap-x" }, BESIDE],
    ["it is in another region than the newcomer asks for", [holder("a")], { pinnedRegion: "ap-y" }, { kind: "after" }],
  ])("where %s", (_what, holders, newcomer, takeover) => {
    expect(planTakeover(holders, { ...NOBODY, ...newcomer })).toEqual(takeover);
  });

  it.each<[string, Parameters<typeof leftToAsk>[1], readonly string[]]>([
    ["that waits, whom that one was to ask", { kind: "over", before: ["c", "b", "a"] }, ["c", "b", "a"]],
    ["that is on a worker, whom that one found on it", { kind: "holds", before: ["a"], ...holder("d") }, ["a"]],
    ["that the room sees, nobody", { kind: "holds", before: [], ...holder("d") }, []],
    ["that was deleted, whom the newcomer knows", { kind: "gone" }, ["c", "b"]],
  ])("after a task %s", (_what, answer, next) => {
    expect(leftToAsk(["c", "b"], answer)).toEqual(next);
  });
});
