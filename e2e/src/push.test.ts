import { aboutFrames, problemsOf } from "@roomcast/dev/demo/verdict";
import { sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { seatOf } from "@roomcast/shared";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesBelow } from "./harness/process-tree.ts";
import { type Pushed, TestSystem } from "./harness/test-system.ts";

const CLIP_S = 4;
const LONG_CLIP_S = 20;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** A difference between sound and picture that nobody in a room would notice. */
const LARGEST_AV_SKEW_MS = 80;

let system: TestSystem;
let clip: string;
let longClip: string;
let bFramesClip: string;

beforeAll(async () => {
  [clip, longClip, bFramesClip] = await Promise.all([
    sampleClip({ durationS: CLIP_S }),
    sampleClip({ durationS: LONG_CLIP_S }),
    sampleClip({ durationS: CLIP_S, bFrames: true }),
  ]);
  system = await TestSystem.start();
});

afterAll(() => system?.stop());

const served = (path: string): string => system.stack.files.serve(path);

/** Expects that the room saw all of the clip, in one session that was left properly. */
function expectWholeClip(pushed: Pushed, durationS = CLIP_S): void {
  const session = system.session(pushed);
  expect(problemsOf(session, { frames: aboutFrames(sampleFrames({ durationS })), endReason: "left" })).toEqual([]);
  expect(session.stream.largestAvSkewMs).toBeLessThanOrEqual(LARGEST_AV_SKEW_MS);
}

describe("Push", () => {
  it("copies a clip without B-frames and runs no ffmpeg for it", async () => {
    const pushed = await system.push({ VideoSrc: served(clip) });
    const task = await system.untilState(pushed, "pushing");
    const [worker] = system.stack.workers;
    expect(await processesBelow(worker?.pid ?? 0)).toEqual([]);
    expect(task.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
    await system.expectFinished(pushed);
    expectWholeClip(pushed);
  });

  it("transcodes a clip with B-frames into a stream without, with all of its frames, and says why", async () => {
    const pushed = await system.push({ VideoSrc: served(bFramesClip) });
    const task = await system.expectFinished(pushed);
    expect(task.plan).toMatchObject({ video: "transcode", audio: "copy" });
    expect(task.plan?.reasons.join()).toContain("B-frames");
    const { min } = aboutFrames(sampleFrames({ durationS: CLIP_S }));
    // While an encoder gets no CPU for seconds, its last picture is repeated, so there are more pictures than in the clip.
    const frames = { min, max: 2 * min };
    expect(problemsOf(system.session(pushed), { frames, endReason: "left" })).toEqual([]);
  });

  it("sends all of its frames when twenty pushes run in one worker process", async () => {
    // The clip is so long that the first push still runs when the last one begins, also where starting them takes long.
    const durationS = 8;
    const VideoSrc = served(await sampleClip({ durationS }));
    const pushes = await Promise.all(Array.from({ length: 20 }, () => system.push({ VideoSrc })));
    for (const pushed of pushes) await system.expectFinished(pushed);
    for (const pushed of pushes) expectWholeClip(pushed, durationS);
    const sessions = pushes.map((pushed) => system.session(pushed));
    const lastBeganAtMs = Math.max(...sessions.map(({ publishedAtMs }) => publishedAtMs));
    const firstEndedAtMs = Math.min(...sessions.map(({ endedAtMs }) => endedAtMs ?? 0));
    expect(lastBeganAtMs, "all were on the air together").toBeLessThan(firstEndedAtMs);
    await system.expectIdle();
  });

  describe.concurrent("when its source is a recorded file", () => {
    afterAll(() => system.expectIdle());

    it("is answered at once with its id, runs, and ends as finished with all of the clip in the room", async () => {
      const request = await system.pushBody({ VideoSrc: served(clip) });
      const { status, body, taskId } = await system.stack.client.submit(request);
      expect({ status, body }).toEqual({ status: 200, body: "Async run task submitted" });
      expect(taskId).toMatch(UUID);
      const pushed: Pushed = { taskId: taskId ?? "", request, seat: seatOf(request) };
      expect(await system.untilState(pushed, "pushing")).toMatchObject({
        status: "RUNNING",
        endedAt: null,
        attempt: 1,
      });
      const [worker] = await system.stack.client.workers();
      expect(worker).toMatchObject({ workerId: "worker-1", region: "ap-guangzhou", draining: false });
      expect(worker?.tasks).toBeGreaterThan(0);
      const task = await system.expectFinished(pushed);
      expect(task).toMatchObject({ attempt: 1, workerId: "worker-1", startedAt: expect.any(String) });
      expect(task.progress).toMatchObject({ positionMs: expect.closeTo(CLIP_S * 1000, -2) });
      expectWholeClip(pushed);
      const log = await system.log(pushed);
      for (const line of ["task starts", "state=pushing", "outcome=finished"]) expect(log).toContain(line);
    });

    it("enters an integer room as well as a string room of the same digits", async () => {
      const VideoSrc = served(clip);
      const [number, text] = await Promise.all([
        system.push({ VideoSrc, RoomId: 4242 }),
        system.push({ VideoSrc, StrRoomId: "4242" }),
      ]);
      await Promise.all([system.expectFinished(number), system.expectFinished(text)]);
      for (const pushed of [number, text]) {
        expect(system.user(pushed)).toMatchObject({ publishes: 1, replacements: 0 });
        expectWholeClip(pushed);
      }
    });

    it("takes over the seat of an earlier push, which ends as aborted and names its successor", async () => {
      const first = await system.push({ VideoSrc: served(longClip) });
      await system.untilPosition(first, 500);
      const { StrRoomId = "", UserId } = first.request;
      const second = await system.push({ VideoSrc: served(clip), StrRoomId, UserId });
      expect(await system.untilEnded(first)).toMatchObject({
        status: "ABORTED",
        error: null,
        reason: `replaced by ${second.taskId}`,
      });
      await system.expectFinished(second);
      const frames = system.user(second)?.sessions.map(({ stream }) => stream.video?.tags ?? 0) ?? [];
      expect(Math.max(...frames)).toBeGreaterThanOrEqual(aboutFrames(sampleFrames({ durationS: CLIP_S })).min);
    });
  });

  describe.concurrent("when it is stopped", () => {
    afterAll(() => system.expectIdle());

    it("ends as aborted and leaves the room", async () => {
      const pushed = await system.push({ VideoSrc: served(longClip) });
      await system.untilPosition(pushed, 500);
      await system.stack.client.stop(pushed.taskId);
      const task = await system.untilEnded(pushed);
      expect(task).toMatchObject({ status: "ABORTED", error: null, reason: "stopped by the user" });
      await system.expectNothingLeft(pushed);
      expect(system.session(pushed).stream.video?.tags).toBeLessThan(sampleFrames({ durationS: LONG_CLIP_S }) / 2);
    });

    it("sends the media that is under way and leaves the room properly when the stop is tidy", async () => {
      const pushed = await system.push({ VideoSrc: served(longClip) });
      await system.untilPosition(pushed, 500);
      await system.stack.client.stop(pushed.taskId, "tidy");
      const task = await system.untilEnded(pushed);
      expect(task).toMatchObject({ status: "ABORTED", error: null, reason: "stopped by the user" });
      await system.expectNothingLeft(pushed);
      const session = system.session(pushed);
      const frames = { min: 15, max: sampleFrames({ durationS: LONG_CLIP_S }) / 2 };
      expect(problemsOf(session, { frames, endReason: "left" })).toEqual([]);
      const sentMs = session.stream.video?.lastTimestampMs ?? 0;
      expect(Math.abs(sentMs - (task.progress?.positionMs ?? 0))).toBeLessThanOrEqual(100);
    });

    it("ends as aborted when no worker has opened its source yet", async () => {
      const pushed = await system.push({ VideoSrc: served(longClip) });
      await system.stack.client.stop(pushed.taskId);
      expect(await system.untilEnded(pushed)).toMatchObject({ status: "ABORTED", reason: "stopped by the user" });
      await system.expectNothingLeft(pushed);
    });

    it("keeps its outcome when it is stopped again", async () => {
      const pushed = await system.push({ VideoSrc: served(clip) });
      const finished = await system.expectFinished(pushed);
      await system.stack.client.stop(pushed.taskId);
      expect(await system.stack.client.task(pushed.taskId)).toEqual(finished);
    });
  });

  describe("in the API", () => {
    it("is the same task for a repeated Idempotency-Key, and the key is refused for another request", async () => {
      const request = await system.pushBody({ VideoSrc: served(clip) });
      const headers = { "Idempotency-Key": "lesson-7" };
      const [first, again] = [
        await system.stack.client.submit(request, headers),
        await system.stack.client.submit(request, headers),
      ];
      expect(again).toEqual(first);
      const other = await system.stack.client.submit({ ...request, Mode: "live" }, headers);
      expect(other.status).toBe(409);
      expect(JSON.parse(other.body)).toMatchObject({ error: { code: "ResourceInUse.IdempotencyKey" } });
      await system.expectFinished({ taskId: first.taskId ?? "", request, seat: seatOf(request) });
    });

    it("is listed with the newest first, by status and in pages", async () => {
      const first = await system.push({ VideoSrc: served(clip) });
      const second = await system.push({ VideoSrc: `${system.stack.files.origin}/not-there.mp4` });
      await Promise.all([system.expectFinished(first), system.untilState(second, "failed")]);
      await system.expectNothingLeft(second);
      const { tasks, total } = await system.stack.client.tasks("?limit=2");
      expect(tasks.map(({ taskId, status }) => ({ taskId, status }))).toEqual([
        { taskId: second.taskId, status: "FAILED" },
        { taskId: first.taskId, status: "FINISHED" },
      ]);
      expect(total).toBeGreaterThanOrEqual(2);
      const [failed] = (await system.stack.client.tasks("?status=FAILED&limit=1")).tasks;
      expect(failed).toMatchObject({
        taskId: second.taskId,
        UserId: second.request.UserId,
        room: second.request.StrRoomId,
      });
      const [older] = (await system.stack.client.tasks("?limit=1&offset=1")).tasks;
      expect(older?.taskId).toBe(first.taskId);
    });
  });
});
