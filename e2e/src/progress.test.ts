import { createHash } from "node:crypto";
import { aboutFrames, problemsOf } from "@roomcast/dev/demo/verdict";
import { freePort } from "@roomcast/dev/stack/free-port";
import { SAMPLE_VIDEO, sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { startRedis } from "@roomcast/dev/stack/start-redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startSilentServer } from "./harness/loopback-servers.ts";
import { TestSystem } from "./harness/test-system.ts";

const CLIP_S = 6;
/** Longer than the worker needs to find a Redis that is back, which is 5 s at most. */
const OUTLASTING_CLIP_S = 12;
const REDIS_TIMEOUT_MS = 1000;
/** The record is written once a second, and when the push ends. */
const RECORD_LAG_MS = 100;

let system: TestSystem;
let clip: string;

beforeAll(async () => {
  clip = await sampleClip({ durationS: CLIP_S });
  system = await TestSystem.start({ workerSettings: { ROOMCAST_REDIS_TIMEOUT_MS: String(REDIS_TIMEOUT_MS) } });
});

afterAll(() => system?.stop());

interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly password: string;
}

/** Returns the record of a source in a Redis, or an empty object if there is no record. */
async function recordOf(VideoSrc: string, { host, port, password }: RedisAddress = system.stack.redis) {
  const redis = new Redis({ host, port, password });
  try {
    // The key is part of what docs/design.md promises to those who read the records.
    return await redis.hgetall(`roomcast:progress:${createHash("sha256").update(VideoSrc).digest("hex")}`);
  } finally {
    redis.disconnect();
  }
}

describe("Progress in Redis", () => {
  describe.concurrent("when a recorded file is pushed again", () => {
    afterAll(() => system.expectIdle());

    it("lets a file that was stopped half-way continue from there in another room", async () => {
      const VideoSrc = system.stack.files.serve(clip);
      const redis = system.stack.redisParameters();
      const first = await system.push({ VideoSrc, ...redis });
      await system.untilPosition(first, 3000);
      await system.stack.client.stop(first.taskId);
      const stopped = await system.untilEnded(first);
      const stoppedAtMs = stopped.progress?.positionMs ?? 0;
      const record = await recordOf(VideoSrc);
      expect(record).toMatchObject({ VideoSrc, TaskId: first.taskId, Attempt: "1", State: "aborted", Mode: "vod" });
      expect(Number(record["PositionMs"])).toBeCloseTo(stoppedAtMs, -2);

      const second = await system.push({ VideoSrc, ...redis });
      const resumed = await system.untilState(second, "pushing");
      expect(resumed.progress?.positionMs).toBeGreaterThanOrEqual(stoppedAtMs - RECORD_LAG_MS);
      await system.expectFinished(second);
      // Together the two rooms got the clip, and the pictures needed to decode the first picture of the second push.
      const [before = 0, after = 0] = [first, second].map((pushed) => system.session(pushed).stream.video?.tags);
      const all = sampleFrames({ durationS: CLIP_S });
      expect(after).toBeLessThan(all * 0.75);
      expect(before + after).toBeGreaterThanOrEqual(all * 0.95);
      expect(before + after).toBeLessThanOrEqual(all * 1.05 + SAMPLE_VIDEO.gopFrames);
    });

    it("lets a file that was played to its end start at its beginning", async () => {
      const VideoSrc = system.stack.files.serve(await sampleClip({ durationS: 2 }));
      const redis = system.stack.redisParameters();
      const first = await system.push({ VideoSrc, ...redis });
      await system.expectFinished(first);
      expect(await recordOf(VideoSrc)).toMatchObject({ PositionMs: "0", State: "finished", TaskId: first.taskId });
      const second = await system.push({ VideoSrc, ...redis });
      await system.expectFinished(second);
      const frames = aboutFrames(sampleFrames({ durationS: 2 }));
      expect(problemsOf(system.session(second), { frames, endReason: "left" })).toEqual([]);
    });

    it("is not recorded when the push names no Redis", async () => {
      const VideoSrc = system.stack.files.serve(await sampleClip({ durationS: 2 }));
      const pushed = await system.push({ VideoSrc });
      await system.expectFinished(pushed);
      expect(await recordOf(VideoSrc)).toEqual({});
    });
  });

  describe.concurrent("when Redis cannot be used at the start", () => {
    afterAll(() => system.expectIdle());

    it("fails the task before anybody enters the room when no server listens", async () => {
      const pushed = await system.push({
        VideoSrc: system.stack.files.serve(clip),
        ...system.stack.redisParameters(),
        RedisPort: await freePort(),
      });
      await system.expectFailed(pushed, { code: "FailedOperation.RedisUnreachable", message: /refuses connections/ });
      expect(system.user(pushed)).toBeUndefined();
    });

    it("fails the task before anybody enters the room when the password is wrong", async () => {
      const pushed = await system.push({
        VideoSrc: system.stack.files.serve(clip),
        ...system.stack.redisParameters(),
        RedisPassword: "an old password",
      });
      await system.expectFailed(pushed, { code: "FailedOperation.RedisRefused", message: /RedisPassword/ });
      expect(system.user(pushed)).toBeUndefined();
    });

    it("fails the task before anybody enters the room when the server never answers", async () => {
      const server = await startSilentServer();
      try {
        const pushed = await system.push({
          VideoSrc: system.stack.files.serve(clip),
          ...system.stack.redisParameters(),
          RedisPort: server.port,
        });
        await system.expectFailed(pushed, { code: "FailedOperation.RedisUnreachable", message: /does not answer/ });
        expect(system.user(pushed)).toBeUndefined();
      } finally {
        await server.stop();
      }
    });

    it("fails the task before anybody enters the room when the private address is not on the allow-list", async () => {
      const pushed = await system.push({
        VideoSrc: system.stack.files.serve(clip),
        ...system.stack.redisParameters(),
        RedisHost: "10.1.2.3",
      });
      await system.expectFailed(pushed, { code: "FailedOperation.RedisRefused", message: /10\.1\.2\.3/ });
      expect(system.user(pushed)).toBeUndefined();
    });
  });

  describe.concurrent("when Redis goes away in the middle", () => {
    afterAll(() => system.expectIdle());

    it("does not delay the push, and is written with the newest value when Redis is back", async () => {
      await using parts = new AsyncDisposableStack();
      const before = await startRedis();
      parts.defer(() => before.stop());
      const VideoSrc = system.stack.files.serve(await sampleClip({ durationS: OUTLASTING_CLIP_S }));
      const { host: RedisHost, port: RedisPort, password: RedisPassword } = before;
      const pushed = await system.push({ VideoSrc, Redis: true, RedisHost, RedisPort, RedisPassword });
      await vi.waitFor(async () => expect(await recordOf(VideoSrc, before)).toMatchObject({ State: "pushing" }), {
        timeout: 20_000,
      });
      await before.kill();
      const seen = await system.until(pushed, ({ progress }) => (progress?.positionMs ?? 0) > 2000);
      expect(seen).toMatchObject({ state: "pushing", error: null });
      const after = await startRedis({ port: RedisPort, password: RedisPassword });
      parts.defer(() => after.stop());
      await system.expectFinished(pushed);
      expect(await recordOf(VideoSrc, after)).toMatchObject({
        State: "finished",
        PositionMs: "0",
        TaskId: pushed.taskId,
      });
      const frames = aboutFrames(sampleFrames({ durationS: OUTLASTING_CLIP_S }));
      expect(problemsOf(system.session(pushed), { frames, endReason: "left" })).toEqual([]);
    });

    it("does not fail the push when Redis never comes back", async () => {
      await using parts = new AsyncDisposableStack();
      const redis = await startRedis();
      parts.defer(() => redis.stop());
      const VideoSrc = system.stack.files.serve(await sampleClip({ durationS: 3 }));
      const { host: RedisHost, port: RedisPort, password: RedisPassword } = redis;
      const pushed = await system.push({ VideoSrc, Redis: true, RedisHost, RedisPort, RedisPassword });
      await system.untilState(pushed, "pushing");
      await redis.kill();
      await system.expectFinished(pushed);
      expect(await system.log(pushed)).toMatch(/Redis/);
    });
  });
});
