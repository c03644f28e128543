import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ROOT } from "../src/contracts/root-registry.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { APP, call, fresh, pushBody, reaches, start } from "./fixtures.test-support.ts";
import { storedIn } from "./stored-in.test-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

const RETENTION_MS = 72 * 3_600_000;

describe("Deletion of a task", () => {
  it("leaves no row, key, log line or other mention of the task in any object after 72 hours", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const body = await pushBody({ Region: at.region });
    // The task waits first, so that the region has a row of it. Then it is changed, logged and taken over.
    const taskId = await start(body, { headers: { "Idempotency-Key": fresh("key") } });
    const [task, region] = [env.TASK.getByName(taskId), env.REGION.getByName(at.region)];
    const directories = [env.DIRECTORY.getByName(String(APP)), env.DIRECTORY.getByName(ROOT)];
    await eventually(async () => expect(await storedIn(region)).toContain(taskId));
    const worker = await FakeWorker.connect(at);
    const dispatch = await worker.next("dispatch");
    worker.report([reportOf(dispatch)]);
    await reaches(taskId, "pushing");
    worker.send({ type: "logs", taskId, attempt: 1, lines: [{ atMs: Date.now(), level: "info", message: "line" }] });
    const change = call(`/v1/tasks/${taskId}`, { method: "PATCH", body: { Volume: 10 } });
    await worker.next("update");
    const successor = await start({ ...body, VideoSrc: "https://media.example/next.mp4" });
    const after = await worker.next("dispatch", (frame) => frame.taskId === successor);
    expect(await storedIn(task)).toContain("update:");
    expect(await storedIn(region)).toContain(taskId);

    worker.ended(dispatch, { name: "aborted", reason: `replaced by ${successor}` });
    worker.report([reportOf(after)]);
    await change;
    await reaches(taskId, "aborted");
    await reaches(successor, "pushing");
    await eventually(async () => expect(await storedIn(task)).toContain('"settled":true'));
    expect(await storedIn(directories[0])).toContain(taskId);

    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + RETENTION_MS + 1000 });
    await runDurableObjectAlarm(task);
    expect(await storedIn(task)).toBe("[[],[]]");
    for (const object of [region, ...directories, env.TASK.getByName(successor)]) {
      expect(await storedIn(object)).not.toContain(taskId);
    }
    await runInDurableObject(task, async (_task, { storage }) => expect(await storage.getAlarm()).toBeNull());

    // Late messages about the task bring nothing back.
    worker.report([reportOf(dispatch)]);
    worker.send({ type: "logs", taskId, attempt: 1, lines: [{ atMs: 0, level: "info", message: "late" }] });
    worker.ended(dispatch, { name: "finished" });
    await worker.next("ack", (frame) => frame.taskId === taskId);
    await worker.next("stop", (frame) => frame.taskId === taskId);
    expect(await storedIn(task)).toBe("[[],[]]");
    expect(await storedIn(region)).not.toContain(taskId);
  });
});
