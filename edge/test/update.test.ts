import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { TaskView } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { call, fresh, pushBody, reaches, start, view, WATCHER } from "./fixtures.test-support.ts";
import { running, stop } from "./running-push.test-support.ts";

const BETTER = "https://media.example/better.mp4?token=very-secret-token";

function change(taskId: string, body: unknown, as?: string): Promise<Response> {
  return call(`/v1/tasks/${taskId}`, { method: "PATCH", body, ...(as === undefined ? {} : { as }) });
}

describe("Update and resumption of a push", () => {
  it("is answered with the changed push once the worker has made the change", async () => {
    const { worker, taskId } = await running();
    const answer = change(taskId, { VideoSrc: BETTER, Volume: 50 });
    const update = await worker.next("update");
    expect(update).toMatchObject({ taskId, attempt: 1, change: { VideoSrc: BETTER, Volume: 50 } });
    // A worker first reports the state after the change, then confirms the change.
    worker.report([reportOf(update, { item: 0, positionMs: 0 })]);
    worker.updated(update);
    const response = await answer;
    expect(response.status).toBe(200);
    const task = await response.json<TaskView>();
    expect(task).toMatchObject({ state: "pushing", progress: { item: 0, positionMs: 0 } });
    expect(task.request).toMatchObject({ VideoSrc: "https://media.example/better.mp4?…", Volume: 50 });
  });

  it("is refused with the name of an unknown field and is not sent to the worker", async () => {
    const { worker, taskId } = await running();
    const response = await change(taskId, { Volume: 50, Loudness: 50 });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "UnknownParameter", fields: [{ field: "Loudness", problem: "unknown" }] },
    });
    expect(worker.frames.filter(({ type }) => type === "update")).toEqual([]);
  });

  it("is answered with the reason when the worker cannot make it, and the push continues unchanged", async () => {
    const { worker, taskId } = await running();
    const answer = change(taskId, { VideoSrc: BETTER });
    const update = await worker.next("update");
    const message = "The source at https://media.example/better.mp4?token=very-secret-token is not there.";
    worker.updated(update, { code: "FailedOperation.SourceNotFound", message, retryable: false });
    const response = await answer;
    expect(response.status).toBe(502);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ error: { code: "FailedOperation.SourceNotFound" } });
    expect(text).not.toContain("very-secret-token");
    expect(await view(taskId)).toMatchObject({
      state: "pushing",
      request: { VideoSrc: "https://media.example/lesson.mp4" },
      progress: { positionMs: 5000 },
    });
  });

  it("is refused by name when only a newer worker can make it, and the push continues unchanged", async () => {
    const { worker, taskId } = await running({ protocol: 2 });
    const response = await change(taskId, { AudioTrack: "en" });
    expect(response.status).toBe(405);
    expect(await response.json()).toMatchObject({
      error: { code: "UnsupportedOperation", message: expect.stringContaining("of an older version") },
    });
    expect(worker.frames.filter(({ type }) => type === "update")).toEqual([]);
    expect((await view(taskId)).request).not.toHaveProperty("AudioTrack");
  });

  it("keeps a changed audio track and rendition for the next attempt", async () => {
    const { at, worker, taskId } = await running();
    const answer = change(taskId, { AudioTrack: 2, Rendition: "480p" });
    worker.updated(await worker.next("update"));
    expect(await (await answer).json()).toMatchObject({ request: { AudioTrack: 2, Rendition: "480p" } });
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.close();
    expect(await other.next("dispatch")).toMatchObject({ request: { AudioTrack: 2, Rendition: "480p" } });
  });

  it("keeps source, volume, tempo, pause and position for the next attempt", async () => {
    const { at, worker, taskId, body } = await running();
    const answer = change(taskId, { VideoSrc: BETTER, SeekSecond: 12.5, Volume: 40, Tempo: 1.5, IsPause: true });
    const update = await worker.next("update");
    worker.report([reportOf(update, { state: "paused", item: 0, positionMs: 12_500 })]);
    worker.updated(update);
    expect(await (await answer).json()).toMatchObject({ state: "paused", progress: { positionMs: 12_500 } });
    // A restart of the Task object makes no difference.
    await evictDurableObject(env.TASK.getByName(taskId));
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.close();
    const { VideoSrc: _before, ...rest } = body;
    expect(await other.next("dispatch")).toMatchObject({
      attempt: 2,
      request: { ...rest, VideoSrc: BETTER, Volume: 40, Tempo: 1.5 },
      resumeAtMs: 12_500,
      resumeItem: 0,
      resumeSeenAtMs: expect.any(Number),
      paused: true,
    });
  });

  it("resumes a playlist on another worker with the item that was played", async () => {
    const VideoSrc = ["https://media.example/a.mp4", "https://media.example/b.mp4"];
    const { at, worker, taskId, dispatch } = await running({ rest: { VideoSrc } });
    worker.report([reportOf(dispatch, { item: 1, positionMs: 700 })]);
    await eventually(async () => expect((await view(taskId)).progress).toMatchObject({ item: 1, positionMs: 700 }));
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.ended({ taskId, attempt: 1, item: 1 }, { name: "released" }, 900);
    expect(await other.next("dispatch")).toMatchObject({ attempt: 2, resumeItem: 1, resumeAtMs: 900 });
  });

  it("applies at once to a push that waits for a worker", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const taskId = await start(await pushBody({ Region: at.region, SeekSecond: 3 }));
    const response = await change(taskId, { VideoSrc: BETTER, SeekSecond: 1.5, IsPause: true });
    expect(await response.json()).toMatchObject({ state: "queued", progress: { positionMs: 1500 } });
    expect((await change(taskId, { IsPause: false, Tempo: 2 })).status).toBe(200);
    const worker = await FakeWorker.connect(at);
    const dispatch = await worker.next("dispatch");
    expect(dispatch).toMatchObject({ attempt: 1, resumeAtMs: 1500, request: { VideoSrc: BETTER, Tempo: 2 } });
    expect(dispatch.request.SeekSecond).toBeUndefined();
    expect(dispatch.paused).toBeUndefined();
  });

  it("is refused when the push has ended or is being stopped", async () => {
    const { worker, taskId, dispatch } = await running();
    await stop(taskId, "tidy");
    const stopping = await change(taskId, { Volume: 1 });
    expect([stopping.status, await stopping.json()]).toMatchObject([
      409,
      { error: { code: "ResourceUnavailable.TaskEnded", message: "The task is being stopped." } },
    ]);
    worker.ended(dispatch, { name: "aborted", reason: "stopped" });
    await reaches(taskId, "aborted");
    const ended = await change(taskId, { Volume: 1 });
    expect(ended.status).toBe(409);
    expect(await ended.text()).toContain("The task has ended (ABORTED)");
    expect(worker.frames.some(({ type }) => type === "update")).toBe(false);
  });

  it("is answered with an error when its worker is lost, and the push continues unchanged elsewhere", async () => {
    const { at, worker, taskId } = await running();
    const answer = change(taskId, { VideoSrc: BETTER });
    await worker.next("update");
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.close();
    expect(await (await answer).json()).toMatchObject({ error: { code: "FailedOperation.WorkerLost" } });
    expect((await other.next("dispatch")).request.VideoSrc).toBe("https://media.example/lesson.mp4");
  });

  it("is answered with a timeout when the worker is late, but still takes effect", async () => {
    const { at, worker, taskId } = await running();
    const response = await change(taskId, { VideoSrc: BETTER });
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ error: { code: "FailedOperation.UpdateTimeout" } });
    await evictDurableObject(env.TASK.getByName(taskId));
    worker.updated(await worker.next("update"));
    await eventually(async () => expect((await view(taskId)).request.VideoSrc).toContain("better.mp4"));
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.close();
    expect((await other.next("dispatch")).request.VideoSrc).toBe(BETTER);
  });

  it("gets its own answer when several updates are answered in another order", async () => {
    const { worker, taskId } = await running();
    const [first, second] = [change(taskId, { VideoSrc: BETTER }), change(taskId, { Volume: 7 })];
    const ofSource = await worker.next("update", (frame) => frame.change.VideoSrc !== undefined);
    const ofVolume = await worker.next("update", (frame) => frame.change.Volume === 7);
    worker.updated(ofVolume);
    expect((await second).status).toBe(200);
    const superseded = {
      code: "FailedOperation.Superseded",
      message: "A newer change came.",
      retryable: false,
    } as const;
    worker.updated(ofSource, superseded);
    // A repeated answer and an answer to an unknown update change nothing.
    worker.updated(ofSource);
    worker.updated({ ...ofSource, updateId: crypto.randomUUID() });
    expect((await first).status).toBe(409);
    const { request } = await view(taskId);
    expect(request).toMatchObject({ VideoSrc: "https://media.example/lesson.mp4", Volume: 7 });
  });

  it("is stored only sealed and is deleted when the task ends", async () => {
    const { worker, taskId, dispatch } = await running();
    const stored = () =>
      runInDurableObject(env.TASK.getByName(taskId), async (_task, { storage }) =>
        JSON.stringify([...(await storage.list())]),
      );
    const answer = change(taskId, { Preload: [BETTER] });
    const update = await worker.next("update");
    expect(await stored()).toContain(`update:${update.updateId}`);
    expect(await stored()).not.toContain("very-secret-token");
    worker.ended(dispatch, { name: "finished" });
    expect((await answer).status).toBe(409);
    expect(await stored()).not.toContain("update:");
  });

  it("is validated like a create and refused to viewers", async () => {
    const { taskId } = await running();
    const wrong = await change(taskId, { Volume: 201, UserId: "other" });
    expect(wrong.status).toBe(400);
    expect((await change(taskId, {})).status).toBe(400);
    expect((await change(taskId, { Volume: 1 }, WATCHER)).status).toBe(403);
    expect((await change(crypto.randomUUID(), { Volume: 1 })).status).toBe(404);
  });

  it("is accepted when 16 earlier updates were never answered", async () => {
    const { worker, taskId } = await running();
    await runInDurableObject(env.TASK.getByName(taskId), (_task, { storage }) => {
      for (let n = 0; n < 16; n += 1) {
        storage.kv.put(`update:${crypto.randomUUID()}`, {
          attempt: 1,
          sealedChange: "lost",
          askedAtMs: Date.now() - 120_001,
        });
      }
    });
    const changing = call(`/v1/tasks/${taskId}`, { method: "PATCH", body: { Volume: 50 } });
    worker.updated(await worker.next("update"));
    expect((await changing).status).toBe(200);
  });
});
