import { describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { library, newSession } from "../seat/room-session.test-support.ts";

describe("Player", () => {
  it("reports the source on the air, the incoming one and all preloaded ones as held, and its load counts them all", async () => {
    const { openSource, slow } = library();
    const { rooms, enter } = newSession();
    const stay = enter({ openSource, programme: { items: ["a:9000"], plays: 1 } });
    const lengthsMs = () => stay.holds().map((info) => info && info.durationMs);
    expect(lengthsMs()).toEqual([null]);
    await eventually(() => expect(rooms[0]?.pictures()).toBeGreaterThan(0));
    expect(lengthsMs()).toEqual([9000]);
    await stay.change({ Preload: ["p:300"] });
    await eventually(() => expect(lengthsMs()).toEqual([9000, 300]));
    const changed = stay.change({ VideoSrc: "slow:6000" });
    await eventually(() => expect(slow.size).toBe(1));
    expect(lengthsMs()).toEqual([9000, null, 300]);
    slow.get("slow:6000")?.resolve();
    await changed;
    expect(lengthsMs()).toEqual([6000, 300]);
    stay.stop("now");
    await stay.done;
  });
});
