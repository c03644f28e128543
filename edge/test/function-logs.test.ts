import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { running } from "./running-push.test-support.ts";
import { callTencent } from "./tencent-client.test-support.ts";

describe("GetFunctionLogs", () => {
  it("returns the newest lines of a log that is too long for one answer and says where the others are", async () => {
    const { taskId } = await running();
    const line = "x".repeat(9000);
    await runInDurableObject(env.TASK.getByName(taskId), (_task, { storage }) => {
      for (let at = 0; at < 900; at += 1) {
        const message = `${at} ${line}`;
        storage.sql.exec("INSERT INTO log_line (at_ms, attempt, level, message) VALUES (?, 1, 'info', ?)", at, message);
      }
    });
    const { Data } = await callTencent("GetFunctionLogs", { FunctionRequestId: taskId });
    // SAFETY: a wrong shape fails the comparisons.
    const [{ Log }] = Data as [{ Log: string }];
    expect(Log.length).toBeLessThan(4_100_000);
    expect(Log).toContain(` info 899 ${line}`);
    expect(Log).not.toContain(` info 100 ${line}`);
    expect(Log.split("\n")[0]).toBe(`The lines before these are in GET /v1/tasks/${taskId}/logs.`);
  });
});
