import { describe, expect, it } from "vitest";
import { PacedChecks } from "./paced-checks.ts";

function checksWith(gapMs: number) {
  const running: Promise<unknown>[] = [];
  return { checks: new PacedChecks((promise) => running.push(promise), gapMs), running };
}

describe("PacedChecks", () => {
  it("begins jobs one after another with a gap between", async () => {
    const { checks, running } = checksWith(20);
    const begunAtMs: number[] = [];
    for (const taskId of ["a", "b", "c"]) checks.start(taskId, async () => void begunAtMs.push(Date.now()));
    await Promise.all(running);
    const [first = 0, , last = 0] = begunAtMs;
    // Timers may be a millisecond early.
    expect(last - first).toBeGreaterThanOrEqual(38);
  });

  it("continues with other tasks while one does not answer, and does not ask that one twice meanwhile", async () => {
    const { checks, running } = checksWith(0);
    const silent = Promise.withResolvers<void>();
    const asked: string[] = [];
    const ask = (taskId: string, answer: Promise<void>) =>
      checks.start(taskId, () => {
        asked.push(taskId);
        return answer;
      });
    ask("silent", silent.promise);
    ask("other", Promise.resolve());
    await running[1];
    ask("silent", silent.promise);
    expect(asked).toEqual(["silent", "other"]);
    silent.resolve();
    await Promise.all(running);
    ask("silent", Promise.resolve());
    await Promise.all(running);
    expect(asked).toEqual(["silent", "other", "silent"]);
  });
});
