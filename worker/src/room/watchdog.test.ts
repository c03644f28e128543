import { expect, it } from "vitest";
import { Watchdog } from "./watchdog.ts";

const LIMITS = { sourceSilenceMs: 1_000, roomStallMs: 2_000 };
const FINE = { held: false, starved: false, sentBytes: 0 };

it("says nothing while the source gives and the room takes", () => {
  const watchdog = new Watchdog(0, LIMITS);
  for (let nowMs = 0; nowMs < 10_000; nowMs += 500) expect(watchdog.look(nowMs, FINE)).toBeUndefined();
});

it("finds a source that has been empty for too long, not one that is empty now and then", () => {
  const watchdog = new Watchdog(0, LIMITS);
  watchdog.look(900, { ...FINE, starved: true });
  watchdog.look(950, FINE);
  expect(watchdog.look(1_900, { ...FINE, starved: true })).toBeUndefined();
  expect(watchdog.look(1_951, { ...FINE, starved: true })?.code).toBe("FailedOperation.SourceTimeout");
});

it("finds a room that takes nothing, not one that is slow", () => {
  const slow = new Watchdog(0, LIMITS);
  for (let nowMs = 0; nowMs < 10_000; nowMs += 500) {
    expect(slow.look(nowMs, { held: true, starved: false, sentBytes: nowMs })).toBeUndefined();
  }
  const stuck = new Watchdog(0, LIMITS);
  stuck.look(1_000, { held: true, starved: false, sentBytes: 7 });
  expect(stuck.look(3_000, { held: true, starved: false, sentBytes: 7 })).toBeUndefined();
  expect(stuck.look(3_001, { held: true, starved: false, sentBytes: 7 })?.code).toBe("FailedOperation.RoomLost");
  expect(stuck.heldForMs(3_001)).toBe(3_001);
});
