import { SAMPLE_VIDEO, sampleClip } from "@roomcast/dev/stack/sample-media";
import { SDK_APP_ID } from "@roomcast/dev/stack/stack";
import { IndependentRtmpServer } from "@roomcast/worker/independent-rtmp-server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publishByFfmpeg } from "./harness/foreign-publisher.ts";
import { type Pushed, TestSystem } from "./harness/test-system.ts";

/** The time that a push waits for a live source that was lost. */
const RECONNECT_BUDGET_MS = 15_000;

const owned = new AsyncDisposableStack();
let system: TestSystem;
/** An independent implementation: the npm package node-media-server. */
let server: IndependentRtmpServer;
let clip: string;
let bFramesClip: string;

beforeAll(async () => {
  [clip, bFramesClip] = await Promise.all([sampleClip({ durationS: 6 }), sampleClip({ durationS: 6, bFrames: true })]);
  server = await IndependentRtmpServer.start();
  owned.defer(() => server.stop());
  system = await TestSystem.start({
    redis: false,
    workerSettings: { ROOMCAST_RECONNECT_BUDGET_MS: String(RECONNECT_BUDGET_MS) },
  });
  owned.defer(() => system.stop());
});

afterAll(() => owned.disposeAsync());

/** Publishes a clip without end to the server; resolves when the server has it. */
async function onAir(name: string, filePath = clip) {
  const published = server.published(`/live/${name}`);
  const url = `rtmp://127.0.0.1:${server.port}/live/${name}`;
  const publisher = await publishByFfmpeg({ filePath, url, endless: true });
  owned.defer(() => publisher.stop());
  await published;
  return { url, publisher };
}

/** Publishes a clip without end to a room. The room's HTTP-FLV stream serves as a live source. */
async function onStage(userId: string) {
  const { rtmpUrl, httpUrl } = system.stack.emulator;
  const seat = { sdkAppId: SDK_APP_ID, room: { kind: "string", id: `stage_of_${userId}` }, userId } as const;
  const query = `sdkappid=${SDK_APP_ID}&userid=${userId}&usersig=${await system.stack.userSig(userId)}`;
  const url = `${rtmpUrl}/${seat.room.id}?${query}`;
  const publisher = await publishByFfmpeg({ filePath: clip, url, endless: true });
  owned.defer(() => publisher.stop());
  await system.untilOnline({ seat });
  return { publisher, url: `${httpUrl}/rooms/${seat.room.id}/${userId}.flv` };
}

/** Resolves when the room has got this number of further pictures. */
async function untilMorePictures(pushed: Pushed, pictures: number): Promise<void> {
  const before = picturesOf(pushed);
  await system.until(pushed, () => picturesOf(pushed) >= before + pictures);
}

function picturesOf(pushed: Pushed): number {
  const sessions = system.user(pushed)?.sessions ?? [];
  return sessions.reduce((sum, { stream }) => sum + (stream.video?.tags ?? 0), 0);
}

/** Stops the push and expects that it leaves nothing behind. */
async function stop(pushed: Pushed): Promise<void> {
  await system.stack.client.stop(pushed.taskId);
  expect(await system.untilEnded(pushed)).toMatchObject({ status: "ABORTED", error: null });
  await system.expectNothingLeft(pushed);
}

/** Expects that people in the room saw one stream without holes. */
function expectUnbroken(pushed: Pushed): void {
  const { video, audio } = system.session(pushed).stream;
  expect(video).toMatchObject({ codec: "h264", bFrames: 0, timestampsBack: 0, resolutionChanges: 0 });
  expect(video?.largestGapMs).toBeLessThanOrEqual(100);
  expect(audio).toMatchObject({ codec: "aac", timestampsBack: 0 });
  expect(audio?.largestGapMs).toBeLessThanOrEqual(100);
}

describe.concurrent("Push of a live source", () => {
  afterAll(() => system.expectIdle());

  it("copies an RTMP stream into the room until the push is stopped", async () => {
    const { url } = await onAir("plain");
    const pushed = await system.push({ VideoSrc: url, Mode: "live" });
    const task = await system.untilState(pushed, "pushing");
    expect(task.plan).toMatchObject({ video: "copy", audio: "copy" });
    await untilMorePictures(pushed, 3 * SAMPLE_VIDEO.fps);
    expect((await system.stack.client.task(pushed.taskId)).progress).toMatchObject({ durationMs: null });
    await stop(pushed);
    expectUnbroken(pushed);
  });

  it("transcodes a stream with B-frames into one without", async () => {
    const { url } = await onAir("b-frames", bFramesClip);
    const pushed = await system.push({ VideoSrc: url, Mode: "live" });
    const task = await system.untilState(pushed, "pushing");
    expect(task.plan).toMatchObject({ video: "transcode", audio: "copy" });
    await untilMorePictures(pushed, 2 * SAMPLE_VIDEO.fps);
    await stop(pushed);
    expectUnbroken(pushed);
  });

  it("plays an HTTP-FLV stream, and fails with the cause when the stream ends for good", async () => {
    const stage = await onStage("singer");
    const pushed = await system.push({ VideoSrc: stage.url, Mode: "live" });
    await system.untilState(pushed, "pushing");
    await untilMorePictures(pushed, 2 * SAMPLE_VIDEO.fps);
    expectUnbroken(pushed);
    await stage.publisher.stop();
    await system.untilState(pushed, "reconnecting");
    expect(system.user(pushed)).toMatchObject({ online: true, publishes: 1 });
    const task = await system.untilEnded(pushed);
    expect(task).toMatchObject({ state: "failed", attempt: 1, error: { code: expect.stringMatching(/Source/) } });
    await system.expectNothingLeft(pushed);
    expect(system.session(pushed)).toMatchObject({ endReason: "left" });
  });

  it("stays in the same room session when the stream breaks off and comes back", async () => {
    const { url, publisher } = await onAir("returning");
    const pushed = await system.push({ VideoSrc: url, Mode: "live" });
    await untilMorePictures(pushed, SAMPLE_VIDEO.fps);
    await publisher.stop();
    // This server sends its newest group of pictures to every new player, also while nobody publishes. So the state is
    // "reconnecting" for a moment only, and the test reads the log instead.
    await system.untilLogged(pushed, /the source is gone/);
    expect(system.user(pushed)).toMatchObject({ online: true, publishes: 1 });
    await onAir("returning");
    // This is longer than any group of pictures that the server has kept.
    const back = await system.until(
      pushed,
      ({ state, progress }) => state === "pushing" && (progress?.positionMs ?? 0) > 5000,
    );
    expect(back).toMatchObject({ attempt: 1 });
    expect(system.user(pushed)).toMatchObject({ online: true, publishes: 1 });
    await stop(pushed);
    expect(system.session(pushed).stream.video).toMatchObject({ timestampsBack: 0, bFrames: 0 });
  });

  it("fails when nobody publishes the stream", async () => {
    const pushed = await system.push({ VideoSrc: `rtmp://127.0.0.1:${server.port}/live/nobody`, Mode: "live" });
    const task = await system.untilEnded(pushed);
    expect(task).toMatchObject({
      state: "failed",
      error: { code: expect.stringMatching(/SourceNotFound|SourceTimeout/) },
    });
    await system.expectNothingLeft(pushed);
  });

  it("fails when the stream's server cannot be reached", async () => {
    const pushed = await system.push({ VideoSrc: "rtmp://127.0.0.1:1/live/stream", Mode: "live" });
    await system.expectFailed(pushed, { code: "FailedOperation.SourceUnreachable", message: /refused the connection/ });
  });
});
