import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { aboutFrames, problemsOf } from "@roomcast/dev/demo/verdict";
import { freePort } from "@roomcast/dev/stack/free-port";
import { sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { SDK_APP_ID } from "@roomcast/dev/stack/stack";
import { makeTempFolder } from "@roomcast/dev/stack/temp-folder";
import { type ErrorCode, mintUserSig } from "@roomcast/shared";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publishByFfmpeg } from "./harness/foreign-publisher.ts";
import { startRedirectingServer } from "./harness/loopback-servers.ts";
import { TestSystem } from "./harness/test-system.ts";

const CLIP_S = 4;
/** A region whose only worker publishes to an address where nobody listens. */
const REGION_WITHOUT_ROOMS = "ap-nowhere";

const owned = new AsyncDisposableStack();
let system: TestSystem;
let clip: string;
let folder: string;

beforeAll(async () => {
  clip = await sampleClip({ durationS: CLIP_S });
  const temp = await makeTempFolder();
  owned.defer(() => temp.remove());
  folder = temp.path;
  // An edge that does not know the application's SecretKey leaves judging a UserSig's signature to the room.
  system = await TestSystem.start({ edgeSettings: { TRTC_APPS: "{}" } });
  owned.defer(() => system.stop());
});

afterAll(() => owned.disposeAsync());
// This is checked once for the whole file: the groups run side by side, so the workers are idle only after all of them.
// Hooks run in reverse order.
afterAll(() => system.expectIdle());

/** Serves a text as a file of this name. */
async function servedText(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return system.stack.files.serve(path);
}

/** The bounds for a clip of which all pictures came. There is no upper bound, since the last picture is repeated while others are late. */
function wholeClip(): ReturnType<typeof aboutFrames> {
  const { min } = aboutFrames(sampleFrames({ durationS: CLIP_S }));
  return { min, max: Number.POSITIVE_INFINITY };
}

describe("Push", () => {
  describe.concurrent("when its source cannot be played", () => {
    interface BadSource {
      readonly name: string;
      readonly url: () => string | Promise<string>;
      readonly code: ErrorCode;
      readonly message: RegExp;
      readonly timeoutMs?: number;
    }
    const badSources: readonly BadSource[] = [
      {
        name: "the server never answers",
        url: () => system.stack.files.serve(clip, { name: "hang" }),
        code: "FailedOperation.SourceTimeout",
        message: /did not answer in time/,
      },
      {
        name: "the server stops half-way and keeps the connection",
        url: () => system.stack.files.serve(clip, { name: "stall", afterBytes: 300_000 }),
        code: "FailedOperation.SourceTimeout",
        message: /gave no media|in time/,
        // The source is opened again where it stopped, and the worker has to find it silent a second time.
        timeoutMs: 80_000,
      },
      {
        name: "the server closes each connection half-way",
        url: () => system.stack.files.serve(clip, { name: "drop", afterBytes: 300_000 }),
        code: "FailedOperation.SourceLost",
        message: /broke off|closed the connection/,
      },
      {
        name: "only half of the file was uploaded",
        url: () => system.stack.files.serve(clip, { name: "truncate", afterBytes: 300_000 }),
        code: "FailedOperation.SourceTruncated",
        message: /cut short|incomplete/,
      },
      {
        name: "the server answers with 404",
        url: () => system.stack.files.serve(clip, { name: "status", status: 404 }),
        code: "FailedOperation.SourceNotFound",
        message: /404/,
      },
      {
        name: "the server answers with 403",
        url: () => system.stack.files.serve(clip, { name: "status", status: 403 }),
        code: "FailedOperation.SourceForbidden",
        message: /403/,
      },
      {
        name: "the server answers with 500",
        url: () => system.stack.files.serve(clip, { name: "status", status: 500 }),
        code: "FailedOperation.SourceUnreachable",
        message: /500/,
      },
      {
        name: "the source is a web page",
        url: () => servedText("page.html", "<!doctype html><title>Sign in</title><p>Please sign in.</p>"),
        code: "FailedOperation.SourceNotMedia",
        message: /no video or audio file|web page/,
      },
      {
        name: "the source is an empty file",
        url: () => servedText("empty.mp4", ""),
        code: "FailedOperation.SourceNotMedia",
        message: /empty/,
      },
      {
        name: "the host does not exist",
        url: () => "http://clips.invalid/lesson.mp4",
        code: "FailedOperation.SourceUnreachable",
        message: /clips\.invalid/,
      },
      {
        name: "no HTTP server listens at the port",
        url: async () => `http://127.0.0.1:${await freePort()}/lesson.mp4`,
        code: "FailedOperation.SourceUnreachable",
        message: /refused the connection/,
      },
      {
        name: "no RTMP server listens at the port",
        url: async () => `rtmp://127.0.0.1:${await freePort()}/live/lesson`,
        code: "FailedOperation.SourceUnreachable",
        message: /refused the connection/,
      },
      {
        name: "the address is private and not on the allow-list",
        url: () => "http://10.1.2.3/lesson.mp4",
        code: "FailedOperation.SourceForbidden",
        message: /10\.1\.2\.3/,
      },
      {
        name: "the address is another one of this machine",
        url: () => `http://[::1]:${new URL(system.stack.files.origin).port}/lesson.mp4`,
        code: "FailedOperation.SourceForbidden",
        message: /::1/,
      },
      {
        name: "the address is the cloud's metadata service",
        url: () => "http://169.254.169.254/latest/meta-data/",
        code: "FailedOperation.SourceForbidden",
        message: /169\.254\.169\.254/,
      },
      {
        name: "the server redirects to the cloud's metadata service",
        url: async () => {
          const server = owned.use(asyncDisposable(await startRedirectingServer("http://169.254.169.254/latest/")));
          return `http://127.0.0.1:${server.port}/lesson.mp4`;
        },
        code: "FailedOperation.SourceForbidden",
        message: /169\.254\.169\.254/,
      },
    ];

    it.for(badSources.map((source) => [source.name, source] as const))(
      "fails with the cause and leaves nothing behind when %s",
      async ([, { url, code, message, timeoutMs }]) => {
        // A source that played for a moment and stops is waited for as long as IdleTimeout says.
        const pushed = await system.push({ VideoSrc: await url(), IdleTimeout: 2 });
        await system.expectFailed(pushed, { code, message, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
      },
    );
  });

  describe.concurrent("when its source lacks a track", () => {
    it("sends a generated picture when the source has no video", async () => {
      const audio = await sampleClip({ durationS: CLIP_S, tracks: "audio" });
      const pushed = await system.push({ VideoSrc: system.stack.files.serve(audio) });
      const task = await system.expectFinished(pushed);
      expect(task.plan).toMatchObject({ video: "generate" });
      const { video, audio: sound } = system.session(pushed).stream;
      expect(video).toMatchObject({ codec: "h264", bFrames: 0, timestampsBack: 0 });
      expect(video?.tags).toBeGreaterThan(CLIP_S * 10);
      expect(sound).toMatchObject({ codec: "aac", timestampsBack: 0 });
      expect(sound?.largestGapMs).toBeLessThanOrEqual(100);
    });

    it("sends silence when the source has no audio", async () => {
      const video = await sampleClip({ durationS: CLIP_S, tracks: "video" });
      const pushed = await system.push({ VideoSrc: system.stack.files.serve(video) });
      const task = await system.expectFinished(pushed);
      expect(task.plan).toMatchObject({ video: "copy", audio: "generate" });
      expect(problemsOf(system.session(pushed), { frames: wholeClip(), endReason: "left" })).toEqual([]);
    });
  });

  describe.concurrent("when its source breaks off and comes back", () => {
    it("plays the source to its end, with all of its frames", async () => {
      const VideoSrc = system.stack.files.serve(clip, { name: "drop", afterBytes: 300_000, times: 1 });
      const pushed = await system.push({ VideoSrc });
      await system.expectFinished(pushed);
      expect(system.stack.files.requests(VideoSrc)).toBeGreaterThan(1);
      expect(problemsOf(system.session(pushed), { frames: wholeClip(), endReason: "left" })).toEqual([]);
    });
  });

  describe.concurrent("when the room interferes", () => {
    it("fails with the room's reason when the room refuses the UserSig", async () => {
      const UserSig = await mintUserSig({
        sdkAppId: SDK_APP_ID,
        userId: "stranger",
        secretKey: "not the application's SecretKey",
        lifetimeS: 3600,
        nowMs: Date.now(),
      });
      const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), UserId: "stranger", UserSig });
      await system.expectFailed(pushed, { code: "FailedOperation.RoomRefused", message: /signature/ });
      expect(system.user(pushed)).toBeUndefined();
      expect(system.stack.emulator.report().refusals).toContainEqual(
        expect.objectContaining({ seat: pushed.seat, code: "NetStream.Publish.Denied" }),
      );
    });

    it("fails when the room cannot be reached", async () => {
      await system.stack.addWorker({
        region: REGION_WITHOUT_ROOMS,
        settings: { ROOMCAST_RTMP_URL: `rtmp://127.0.0.1:${await freePort()}/push` },
      });
      const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), Region: REGION_WITHOUT_ROOMS });
      await system.expectFailed(pushed, { code: "FailedOperation.RoomUnreachable", message: /could not be reached/ });
    });

    it("fails and does not return when the room's owner removes the user", async () => {
      // The push repeats its file, so that it still plays however late it is seen in the room.
      const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), RepeatNum: -1 });
      await system.untilPosition(pushed, 500);
      expect(system.stack.emulator.kick(pushed.seat)).toBe(true);
      await system.expectFailed(pushed, { code: "FailedOperation.RoomRefused", message: /put out/ });
      expect(system.user(pushed)).toMatchObject({ publishes: 1, sessions: [{ endReason: "kicked" }] });
    });

    it("fails and does not take the seat back when another publisher takes it", async () => {
      // The push repeats its file, so that it still plays however late the other publisher comes.
      const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), RepeatNum: -1 });
      await system.untilPosition(pushed, 500);
      const { StrRoomId, UserId, UserSig } = pushed.request;
      const url = `${system.stack.emulator.rtmpUrl}/${StrRoomId}?sdkappid=${SDK_APP_ID}&userid=${UserId}&usersig=${UserSig}`;
      await using rival = asyncDisposable(await publishByFfmpeg({ filePath: clip, url, endless: true }));
      const task = await system.untilEnded(pushed);
      expect(task).toMatchObject({
        state: "failed",
        error: { code: "FailedOperation.RoomReplaced", retryable: false },
      });
      expect(system.user(pushed)).toMatchObject({ publishes: 2, replacements: 1, online: true });
      await rival.stop();
      await system.expectNothingLeft(pushed);
    });

    it("enters the room again and continues the file when the room cuts the connection", async () => {
      const plays = 3;
      const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), RepeatNum: plays });
      await system.untilPosition(pushed, 500);
      expect(system.stack.emulator.drop(pushed.seat)).toBe(true);
      await system.expectFinished(pushed);
      const [cut, resumed, ...more] = system.user(pushed)?.sessions ?? [];
      expect(more).toEqual([]);
      expect(cut).toMatchObject({ endReason: "dropped" });
      expect(resumed).toMatchObject({ endReason: "left" });
      const frames = (cut?.stream.video?.tags ?? 0) + (resumed?.stream.video?.tags ?? 0);
      // Pictures in transit at the cut are lost. Part of a group of pictures is sent again, since decoding begins at a keyframe.
      expect(frames).toBeGreaterThan(sampleFrames({ durationS: CLIP_S }) * plays * 0.8);
    });
  });
});

function asyncDisposable<Part extends { stop(): Promise<void> }>(part: Part): Part & AsyncDisposable {
  return Object.assign(part, { [Symbol.asyncDispose]: () => part.stop() });
}
