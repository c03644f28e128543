import { encodeFrame, MAX_FRAME_LENGTH } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { Outbox } from "./outbox.ts";

const TASK = "11111111-1111-4111-8111-111111111111";

function ended(attempt = 1, taskId = TASK) {
  return { type: "ended", taskId, attempt, item: 0, positionMs: 5, outcome: { name: "finished" } } as const;
}

describe("Outbox", () => {
  it("keeps an `ended` until exactly that one is acknowledged", () => {
    const outbox = new Outbox();
    outbox.addEnded(ended(2));
    outbox.acknowledge({ taskId: TASK, attempt: 1 });
    expect(outbox.ended).toEqual([ended(2)]);
    outbox.acknowledge({ taskId: TASK, attempt: 2 });
    expect(outbox.ended).toEqual([]);
  });

  it("replaces the `ended` of an earlier attempt by that of a later one", () => {
    const outbox = new Outbox();
    outbox.addEnded(ended(1));
    outbox.addEnded(ended(2));
    expect(outbox.ended).toEqual([ended(2)]);
  });

  it("resolves delivered when every `ended` is acknowledged", async () => {
    const outbox = new Outbox();
    await outbox.delivered();
    outbox.addEnded(ended());
    const delivered = outbox.delivered().then(() => outbox.ended.length);
    outbox.acknowledge(ended());
    expect(await delivered).toBe(0);
  });

  it("returns log lines once, by task, in frames within the limit, however long they are", () => {
    const outbox = new Outbox();
    const line = { atMs: 1, level: "info" as const, message: "\u0001".repeat(2000) };
    for (let n = 0; n < 250; n += 1) outbox.addLog({ taskId: TASK, attempt: 1 }, line);
    outbox.addLog({ taskId: TASK, attempt: 2 }, line);
    const frames = outbox.takeLogs();
    expect(frames.flatMap(({ lines }) => lines)).toHaveLength(251);
    for (const frame of frames) expect(encodeFrame(frame).length).toBeLessThanOrEqual(MAX_FRAME_LENGTH);
    expect(outbox.takeLogs()).toEqual([]);
  });

  it("drops and counts the oldest log lines while the edge is unreachable", () => {
    const outbox = new Outbox();
    for (let n = 0; n < 6_000; n += 1) {
      outbox.addLog({ taskId: TASK, attempt: 1 }, { atMs: n, level: "info", message: "x" });
    }
    const lines = outbox.takeLogs().flatMap((frame) => frame.lines);
    expect(lines).toHaveLength(5_000);
    expect(lines[0]?.atMs).toBe(1_000);
    expect(outbox.droppedLines).toBe(1_000);
  });
});
