import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { aboutFrames, problemsOf } from "@roomcast/dev/demo/verdict";
import { freePort } from "@roomcast/dev/stack/free-port";
import { sampleClip, sampleFrames } from "@roomcast/dev/stack/sample-media";
import { SDK_APP_ID } from "@roomcast/dev/stack/stack";
import { makeTempFolder } from "@roomcast/dev/stack/temp-folder";
import { type ErrorCode, mintUserSig } from "@roomcast/shared";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
// Once for all: the groups run side by side, and none is idle before the others are. Hooks run in reverse order.
afterAll(() => system.expectIdle());

/** Serves a text as a file of this name. */
async function servedText(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return system.stack.files.serve(path);
}

/** All pictures of the clip came. Where some come late, the last one is repeated meanwhile. */
function wholeClip(): ReturnType<typeof aboutFrames> {
  const { min } = aboutFrames(sampleFrames({ durationS: CLIP_S }));
  return { min, max: Number.POSITIVE_INFINITY };
}

describe.concurrent("a source that cannot be played ends the task with the cause, and nothing is left of it:", () => {
  interface BadSource {
    readonly name: string;
    readonly url: () => string | Promise<string>;
    readonly code: ErrorCode;
    readonly message: RegExp;
    readonly patienceMs?: number;
  }
  const badSources: readonly BadSource[] = [
    {
      name: "one that never answers",
      url: () => system.stack.files.serve(clip, { name: "hang" }),
      code: "FailedOperation.SourceTimeout",
      message: /did not answer in time/,
    },
    {
      name: "one that stops half-way and keeps the connection",
      url: () => system.stack.files.serve(clip, { name: "stall", afterBytes: 300_000 }),
      code: "FailedOperation.SourceTimeout",
      message: /gave no media|in time/,
      // What is opened again begins to play where it stopped, and has to be found silent a second time.
      patienceMs: 80_000,
    },
    {
      name: "one that breaks off half-way for good",
      url: () => system.stack.files.serve(clip, { name: "drop", afterBytes: 300_000 }),
      code: "FailedOperation.SourceLost",
      message: /broke off|closed the connection/,
    },
    {
      name: "one that was uploaded half",
      url: () => system.stack.files.serve(clip, { name: "truncate", afterBytes: 300_000 }),
      code: "FailedOperation.SourceTruncated",
      message: /cut short|incomplete/,
    },
    {
      name: "404",
      url: () => system.stack.files.serve(clip, { name: "status", status: 404 }),
      code: "FailedOperation.SourceNotFound",
      message: /404/,
    },
    {
      name: "403",
      url: () => system.stack.files.serve(clip, { name: "status", status: 403 }),
      code: "FailedOperation.SourceForbidden",
      message: /403/,
    },
    {
      name: "500",
      url: () => system.stack.files.serve(clip, { name: "status", status: 500 }),
      code: "FailedOperation.SourceUnreachable",
      message: /500/,
    },
    {
      name: "a web page",
      url: () => servedText("page.html", "<!doctype html><title>Sign in</title><p>Please sign in.</p>"),
      code: "FailedOperation.SourceNotMedia",
      message: /no video or audio file|web page/,
    },
    {
      name: "an empty file",
      url: () => servedText("empty.mp4", ""),
      code: "FailedOperation.SourceNotMedia",
      message: /empty/,
    },
    {
      name: "a host that does not exist",
      url: () => "http://clips.invalid/lesson.mp4",
      code: "FailedOperation.SourceUnreachable",
      message: /clips\.invalid/,
    },
    {
      name: "a port where nobody listens",
      url: async () => `http://127.0.0.1:${await freePort()}/lesson.mp4`,
      code: "FailedOperation.SourceUnreachable",
      message: /refused the connection/,
    },
    {
      name: "an RTMP server where nobody listens",
      url: async () => `rtmp://127.0.0.1:${await freePort()}/live/lesson`,
      code: "FailedOperation.SourceUnreachable",
      message: /refused the connection/,
    },
    {
      name: "a private address that is not on the allow-list",
      url: () => "http://10.1.2.3/lesson.mp4",
      code: "FailedOperation.SourceForbidden",
      message: /10\.1\.2\.3/,
    },
    {
      name: "this machine under another name",
      url: () => `http://[::1]:${new URL(system.stack.files.origin).port}/lesson.mp4`,
      code: "FailedOperation.SourceForbidden",
      message: /::1/,
    },
    {
      name: "the cloud's metadata service",
      url: () => "http://169.254.169.254/latest/meta-data/",
      code: "FailedOperation.SourceForbidden",
      message: /169\.254\.169\.254/,
    },
    {
      name: "a redirect to the cloud's metadata service",
      url: async () => {
        const server = owned.use(asyncDisposable(await startRedirectingServer("http://169.254.169.254/latest/")));
        return `http://127.0.0.1:${server.port}/lesson.mp4`;
      },
      code: "FailedOperation.SourceForbidden",
      message: /169\.254\.169\.254/,
    },
  ];

  test.for(badSources)("$name", async ({ url, code, message, patienceMs }) => {
    // What played for a moment is waited for.
    const pushed = await system.push({ VideoSrc: await url(), IdleTimeout: 2 });
    await system.expectFailed(pushed, { code, message, ...(patienceMs === undefined ? {} : { patienceMs }) });
  });
});

describe.concurrent("a source that lacks a track is played all the same:", () => {
  test("one without video gets a picture", async () => {
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

  test("one without audio gets silence", async () => {
    const video = await sampleClip({ durationS: CLIP_S, tracks: "video" });
    const pushed = await system.push({ VideoSrc: system.stack.files.serve(video) });
    const task = await system.expectFinished(pushed);
    expect(task.plan).toMatchObject({ video: "copy", audio: "generate" });
    expect(problemsOf(system.session(pushed), { frames: wholeClip(), endReason: "left" })).toEqual([]);
  });
});

describe.concurrent("a source that breaks off and comes back", () => {
  test("is played to its end, with all of its frames", async () => {
    const VideoSrc = system.stack.files.serve(clip, { name: "drop", afterBytes: 300_000, times: 1 });
    const pushed = await system.push({ VideoSrc });
    await system.expectFinished(pushed);
    expect(system.stack.files.requests(VideoSrc)).toBeGreaterThan(1);
    expect(problemsOf(system.session(pushed), { frames: wholeClip(), endReason: "left" })).toEqual([]);
  });
});

describe.concurrent("a room", () => {
  test("that refuses the UserSig fails the task with the room's words", async () => {
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

  test("that cannot be reached fails the task", async () => {
    await system.stack.addWorker({
      region: REGION_WITHOUT_ROOMS,
      settings: { ROOMCAST_RTMP_URL: `rtmp://127.0.0.1:${await freePort()}/push` },
    });
    const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), Region: REGION_WITHOUT_ROOMS });
    await system.expectFailed(pushed, { code: "FailedOperation.RoomUnreachable", message: /could not be reached/ });
  });

  test("whose owner puts the user out fails the task, which does not come back", async () => {
    // It plays on however long it takes to be seen.
    const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), RepeatNum: -1 });
    await system.untilPosition(pushed, 500);
    expect(system.stack.emulator.kick(pushed.seat)).toBe(true);
    await system.expectFailed(pushed, { code: "FailedOperation.RoomRefused", message: /put out/ });
    expect(system.user(pushed)).toMatchObject({ publishes: 1, sessions: [{ endReason: "kicked" }] });
  });

  test("where somebody else takes the seat fails the task, which does not fight for it", async () => {
    // It plays on however long the other one takes to come.
    const pushed = await system.push({ VideoSrc: system.stack.files.serve(clip), RepeatNum: -1 });
    await system.untilPosition(pushed, 500);
    const { StrRoomId, UserId, UserSig } = pushed.request;
    const url = `${system.stack.emulator.rtmpUrl}/${StrRoomId}?sdkappid=${SDK_APP_ID}&userid=${UserId}&usersig=${UserSig}`;
    await using rival = asyncDisposable(await publishByFfmpeg({ filePath: clip, url, forEver: true }));
    const task = await system.untilEnded(pushed);
    expect(task).toMatchObject({ state: "failed", error: { code: "FailedOperation.RoomReplaced", retryable: false } });
    expect(system.user(pushed)).toMatchObject({ publishes: 2, replacements: 1, online: true });
    await rival.stop();
    await system.expectNothingLeft(pushed);
  });

  test("that cuts the connection is entered again, and the file goes on", async () => {
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
    // What was under way at the cut is lost; a group of pictures is sent again, since a picture begins with a keyframe.
    expect(frames).toBeGreaterThan(sampleFrames({ durationS: CLIP_S }) * plays * 0.8);
  });
});

function asyncDisposable<Part extends { stop(): Promise<void> }>(part: Part): Part & AsyncDisposable {
  return Object.assign(part, { [Symbol.asyncDispose]: () => part.stop() });
}
