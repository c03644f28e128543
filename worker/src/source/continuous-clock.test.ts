import { describe, expect, it } from "vitest";
import { ContinuousClock } from "./continuous-clock.ts";

const FRAME_MS = 40;
const AAC_MS = 1024 / 48;

/** Runs video and audio through a clock in DTS order; the audio of each part lags a few tags behind the picture. */
function run(clock: ContinuousClock, parts: readonly { fromMs: number; lengthMs: number; announced?: boolean }[]) {
  const out: { kind: "audio" | "video"; dtsMs: number; atMs: number }[] = [];
  for (const { fromMs, lengthMs, announced } of parts) {
    if (announced === true) for (const kind of ["video", "audio"] as const) clock.announceJump(kind);
    const tags: { kind: "audio" | "video"; dtsMs: number }[] = [];
    for (let n = 0; n * FRAME_MS < lengthMs; n += 1) tags.push({ kind: "video", dtsMs: fromMs + n * FRAME_MS });
    for (let n = 0; n * AAC_MS < lengthMs; n += 1) tags.push({ kind: "audio", dtsMs: fromMs + n * AAC_MS });
    tags.sort((a, b) => a.dtsMs - b.dtsMs);
    for (const { kind, dtsMs } of tags) out.push({ kind, dtsMs, atMs: dtsMs + clock.shiftMs(kind, dtsMs) });
  }
  return out;
}

function steps(out: ReturnType<typeof run>, kind: "audio" | "video"): number[] {
  const times = out.filter((tag) => tag.kind === kind).map(({ atMs }) => atMs);
  return times.slice(1).map((atMs, at) => atMs - (times[at] ?? 0));
}

describe("ContinuousClock", () => {
  it("changes nothing while the source's clock is continuous", () => {
    const out = run(new ContinuousClock(), [{ fromMs: 7_200_000, lengthMs: 5000 }]);
    expect(out.every(({ dtsMs, atMs }) => dtsMs === atMs)).toBe(true);
  });

  it.each([3_600_000, 30_000, 11_000, -600_000, -30_000, -1000, -400, 1e9, -1e9])(
    "continues directly behind the last tag when both tracks jump by %i ms",
    (jumpMs) => {
      const out = run(new ContinuousClock(), [
        { fromMs: 5_000_000, lengthMs: 4000 },
        { fromMs: 5_004_000 + jumpMs, lengthMs: 4000 },
      ]);
      expect(Math.max(...steps(out, "video"))).toBeLessThan(80);
      expect(Math.min(...steps(out, "video"))).toBeGreaterThan(0);
      expect(Math.max(...steps(out, "audio"))).toBeLessThan(80);
      const shifts = ["video", "audio"].map((kind) => out.filter((tag) => tag.kind === kind).at(-1));
      expect(shifts[0] && shifts[0].atMs - shifts[0].dtsMs).toBe(shifts[1] && shifts[1].atMs - shifts[1].dtsMs);
    },
  );

  it("keeps a pause of a live source that took as long in real time", () => {
    let nowMs = 0;
    const clock = new ContinuousClock({ live: true, now: () => nowMs });
    expect(clock.shiftMs("video", 0)).toBe(0);
    nowMs = 6000;
    expect(clock.shiftMs("video", 6000)).toBe(0);
  });

  it("does not wait when a live source's clock advances more than the time that passed", () => {
    let nowMs = 0;
    const clock = new ContinuousClock({ live: true, now: () => nowMs });
    clock.shiftMs("video", 0);
    nowMs = 40;
    clock.shiftMs("video", 40);
    nowMs = 80;
    expect(clock.shiftMs("video", 3080)).toBe(-3000);
  });

  describe("when a live source delivers tags in real time", () => {
    /** Runs tags through a clock, each at its time of arrival. The network delays them by up to 150 ms. */
    function live(tags: readonly { kind: "audio" | "video"; dtsMs: number; comesMs: number }[]) {
      let nowMs = 0;
      const clock = new ContinuousClock({ live: true, now: () => nowMs });
      return tags.map((tag, at) => {
        nowMs = Math.max(nowMs, tag.comesMs + ((at * 37) % 150));
        return { ...tag, atMs: tag.dtsMs + clock.shiftMs(tag.kind, tag.dtsMs) };
      });
    }

    /** Both tracks for some seconds, in real time. */
    function tracks(seconds: number, dtsOf: (atMs: number) => number) {
      const video = Array.from({ length: seconds * 25 }, (_, n) => ({ kind: "video" as const, comesMs: n * FRAME_MS }));
      const audio = Array.from({ length: seconds * 46 }, (_, n) => ({ kind: "audio" as const, comesMs: n * AAC_MS }));
      return [...video, ...audio]
        .toSorted((a, b) => a.comesMs - b.comesMs)
        .map((tag) => ({ ...tag, dtsMs: dtsOf(tag.comesMs) }));
    }

    it.each([500, 900, -400, 3000])("does not wait when the clock jumps by %i ms", (jumpMs) => {
      const out = live(tracks(12, (atMs) => (atMs < 6000 ? atMs : atMs + jumpMs)));
      for (const { atMs, comesMs } of out) expect(Math.abs(atMs - comesMs)).toBeLessThan(100);
    });

    it("keeps the tracks in sync when pictures are lost while the sound is late", () => {
      const all = tracks(12, (atMs) => atMs);
      const lost = all.filter(({ kind, dtsMs }) => kind === "audio" || dtsMs < 6000 || dtsMs >= 8000);
      const out = live(
        lost
          .map((tag) => (tag.kind === "audio" ? { ...tag, comesMs: tag.comesMs + 600 } : tag))
          .toSorted((a, b) => a.comesMs - b.comesMs),
      );
      for (const { atMs, dtsMs } of out.filter((tag) => tag.dtsMs > 9000)) expect(atMs).toBe(dtsMs);
    });

    it("changes nothing when the source stalls and then delivers everything at once", () => {
      const out = live(
        tracks(12, (atMs) => atMs).map((tag) => ({
          ...tag,
          comesMs: tag.comesMs > 5000 && tag.comesMs < 9000 ? 9000 : tag.comesMs,
        })),
      );
      expect(out.every(({ atMs, dtsMs }) => atMs === dtsMs)).toBe(true);
    });
  });

  it("keeps a recorded source's distance of five seconds between pictures", () => {
    const clock = new ContinuousClock();
    expect([0, 5000, 10_000, 15_000].map((dtsMs) => clock.shiftMs("video", dtsMs))).toEqual([0, 0, 0, 0]);
  });

  it("closes a gap of any size at an announced discontinuity and keeps a continuous clock there", () => {
    const gap = run(new ContinuousClock(), [
      { fromMs: 0, lengthMs: 4000 },
      { fromMs: 6000, lengthMs: 4000, announced: true },
    ]);
    expect(Math.max(...steps(gap, "video"))).toBeLessThan(80);
    const none = run(new ContinuousClock(), [
      { fromMs: 0, lengthMs: 4000 },
      { fromMs: 4000, lengthMs: 4000, announced: true },
    ]);
    expect(none.every(({ dtsMs, atMs }) => dtsMs === atMs)).toBe(true);
  });

  it("does not count a track that begins late or pauses for long as a jump", () => {
    const clock = new ContinuousClock();
    for (let dtsMs = 0; dtsMs < 60_000; dtsMs += FRAME_MS) expect(clock.shiftMs("video", dtsMs)).toBe(0);
    expect(clock.shiftMs("audio", 60_000)).toBe(0);
    for (let dtsMs = 60_000; dtsMs < 90_000; dtsMs += FRAME_MS) expect(clock.shiftMs("video", dtsMs)).toBe(0);
    expect(clock.shiftMs("audio", 90_000)).toBe(0);
  });

  it("reports the size of a jump", () => {
    const jumps: number[] = [];
    run(new ContinuousClock({ onJump: (byMs) => jumps.push(Math.round(byMs / 1000)) }), [
      { fromMs: 0, lengthMs: 2000 },
      { fromMs: 62_000, lengthMs: 2000 },
    ]);
    expect(jumps).toEqual([60, 60]);
  });
});
