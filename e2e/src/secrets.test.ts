import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "@roomcast/dev/stack/free-port";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { IndependentRtmpServer } from "@roomcast/worker/independent-rtmp-server";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CallbackReceiver } from "./harness/callback-receiver.ts";
import { publishByFfmpeg } from "./harness/foreign-publisher.ts";
import { processesBelow } from "./harness/process-tree.ts";
import { type PushBody, type Pushed, TestSystem } from "./harness/test-system.ts";

/** Secrets that callers put into requests and that nobody else may read. */
const SECRETS = {
  urlUser: "u5er-0f-the-source",
  urlPassword: "pa55-0f-the-source",
  urlQuery: "s1gned-query-0f-the-source",
  streamKey: "k3y-0f-the-live-stream",
  wrongRedisPassword: "wr0ng pa55 0f redis",
  webhookToken: "t0ken-0f-the-webhook",
  callbackKey: "k3y-0f-the-callback",
} as const;

const owned = new AsyncDisposableStack();
let system: TestSystem;
/** A clip that has to be transcoded, so that ffmpeg runs for it. */
let clip: string;
let redisParameters: ReturnType<TestSystem["stack"]["redisParameters"]>;
let metricsUrl: string;
let receiver: CallbackReceiver;
const userSigs: string[] = [];
/** The arguments of all processes that were seen below this one. */
const commandLines = new Set<string>();
/** Every text that the API answered with. */
const answers: string[] = [];
/** The worker's metrics after each push. */
const metrics: string[] = [];

beforeAll(async () => {
  clip = await sampleClip({ durationS: 2, bFrames: true });
  // The edge does not know the application's SecretKey, so the room gets the UserSig of the request.
  receiver = await CallbackReceiver.start();
  owned.defer(() => receiver.stop());
  const metricsPort = await freePort();
  metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;
  system = await TestSystem.start({
    edgeSettings: { TRTC_APPS: "{}", CALLBACK_ALLOW_HOSTS: "127.0.0.1" },
    workerSettings: { ROOMCAST_METRICS_PORT: String(metricsPort) },
  });
  owned.defer(() => system.stop());
  redisParameters = system.stack.redisParameters();
});

afterAll(() => owned.disposeAsync());

/** A source's URL with a user, a password and a signed query. */
function signed(url: string): string {
  const withSecrets = new URL(url);
  withSecrets.username = SECRETS.urlUser;
  withSecrets.password = SECRETS.urlPassword;
  withSecrets.search = `?sign=${SECRETS.urlQuery}`;
  return withSecrets.href;
}

async function push(overrides: Parameters<TestSystem["push"]>[0]): Promise<Pushed> {
  const pushed = await system.push(overrides);
  userSigs.push(pushed.request.UserSig);
  return pushed;
}

/** Looks at all processes and all answers of the API until the task has ended. */
async function watchToItsEnd(pushed: Pushed): Promise<string | undefined> {
  const task = await vi.waitFor(
    async () => {
      await collectCommandLines();
      const now = await system.stack.client.task(pushed.taskId);
      expect(now.endedAt).not.toBeNull();
      return now;
    },
    { timeout: 40_000, interval: 50 },
  );
  const ofTask = [`/v1/tasks/${pushed.taskId}`, `/v1/tasks/${pushed.taskId}/logs`];
  for (const path of ["/v1/tasks", ...ofTask, "/v1/workers", "/v1/audit"]) {
    answers.push(await (await system.stack.client.fetch(path)).text());
  }
  metrics.push(await (await fetch(metricsUrl)).text());
  return task.error?.code ?? task.state;
}

async function collectCommandLines(): Promise<void> {
  for (const { commandLine } of await processesBelow(process.pid)) commandLines.add(commandLine);
}

/** Sends a request that the edge must refuse, keeps the answer's text and returns its status. */
async function refusedWith(request: unknown, headers?: Record<string, string>): Promise<number> {
  const { status, body } = await system.stack.client.submit(request, headers);
  answers.push(body);
  return status;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Returns a secret as plain text and in the forms that URLs use. */
function formsOf(secret: string): string[] {
  return [...new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])];
}

/** Returns the names of the secrets that a text contains. */
function leaksIn(text: string): string[] {
  const secrets: [string, string][] = [
    ...Object.entries(SECRETS),
    ["redisPassword", redisParameters.RedisPassword],
    ...userSigs.map((userSig): [string, string] => ["UserSig", userSig]),
    ...system.stack.secretTexts().map((secret, index): [string, string] => [`stack ${index}`, secret]),
  ];
  return secrets.flatMap(([name, secret]) => (formsOf(secret).some((form) => text.includes(form)) ? [name] : []));
}

describe("Secrets", () => {
  it("never show in answers, output, arguments or files, whatever becomes of a push", async () => {
    const files = system.stack.files;

    const played = await push({
      VideoSrc: signed(files.serve(clip)),
      ...redisParameters,
      CallbackUrl: receiver.url(`/hook/${SECRETS.webhookToken}`),
      CallbackKey: SECRETS.callbackKey,
    });
    expect(await watchToItsEnd(played)).toBe("finished");

    const missing = await push({ VideoSrc: signed(files.serve(clip, { name: "status", status: 404 })) });
    expect(await watchToItsEnd(missing)).toBe("FailedOperation.SourceNotFound");

    const broken = await push({ VideoSrc: signed(files.serve(clip, { name: "truncate", afterBytes: 200_000 })) });
    expect(await watchToItsEnd(broken)).toMatch(/Source/);

    const unreachable = await push({ VideoSrc: signed(`http://127.0.0.1:${await freePort()}/clip.mp4`) });
    expect(await watchToItsEnd(unreachable)).toBe("FailedOperation.SourceUnreachable");

    // This room repeats in its refusal what it was sent.
    const UserSig = await system.stack.userSig("echoed");
    system.stack.emulator.refuseNext({
      scope: { userId: "echoed" },
      refusal: { description: `No entry: rtmp://room/push/r?userid=echoed&usersig=${UserSig} (${UserSig})` },
    });
    const refused = await push({ VideoSrc: signed(files.serve(clip)), UserId: "echoed", UserSig });
    expect(await watchToItsEnd(refused)).toBe("FailedOperation.RoomRefused");

    const locked = await push({
      VideoSrc: signed(files.serve(clip)),
      ...redisParameters,
      RedisPassword: SECRETS.wrongRedisPassword,
    });
    expect(await watchToItsEnd(locked)).toBe("FailedOperation.RedisRefused");

    const nowhere = await push({
      VideoSrc: `rtmp://127.0.0.1:${await freePort()}/live/${SECRETS.streamKey}?sign=${SECRETS.urlQuery}`,
      Mode: "live",
    });
    expect(await watchToItsEnd(nowhere)).toBe("FailedOperation.SourceUnreachable");

    const uncalled = await push({
      VideoSrc: `srt://127.0.0.1:${await freePort()}?streamid=${SECRETS.streamKey}&passphrase=${SECRETS.urlQuery}`,
      Mode: "live",
    });
    expect(await watchToItsEnd(uncalled)).toBe("FailedOperation.SourceUnreachable");

    const server = await IndependentRtmpServer.start();
    owned.defer(() => server.stop());
    const streamUrl = `rtmp://127.0.0.1:${server.port}/live/${SECRETS.streamKey}`;
    const published = server.published(`/live/${SECRETS.streamKey}`);
    const publisher = await publishByFfmpeg({ filePath: clip, url: streamUrl, endless: true });
    owned.defer(() => publisher.stop());
    await published;
    const watched = await push({ VideoSrc: streamUrl, Mode: "live" });
    await system.untilState(watched, "pushing");
    await system.stack.client.stop(watched.taskId);
    await system.untilEnded(watched);
    // This publisher belongs to the test and shows the key in its arguments, so it must not run while arguments are checked.
    await publisher.stop();
    expect(await watchToItsEnd(watched)).toBe("aborted");

    const request: PushBody = await system.pushBody({ VideoSrc: signed(files.serve(clip)), ...redisParameters });
    userSigs.push(request.UserSig);
    expect(await refusedWith({ ...request, UserSig: [request.UserSig], RedisPassword: 7 })).toBe(400);
    expect(await refusedWith({ ...request, Password: SECRETS.urlPassword, VideoSrc: [request.VideoSrc] })).toBe(400);
    expect(await refusedWith({ ...request, UserId: "somebody-else" })).toBe(403);
    expect(await refusedWith(JSON.stringify(request).slice(0, -1))).toBe(400);
    const [secretKey = ""] = system.stack.secretTexts();
    expect(await refusedWith(request, { Authorization: `Bearer nobody.${secretKey}` })).toBe(401);

    expect(leaksIn(answers.join("\n")), "answers of the API").toEqual([]);
    expect(leaksIn(metrics.join("\n")), "metrics of the worker").toEqual([]);
    expect(leaksIn(system.lines.join("\n")), "output of the edge and the worker").toEqual([]);
    expect(leaksIn([...commandLines].join("\n")), "arguments of processes").toEqual([]);
    const stored = await Promise.all(
      (await filesBelow(system.stack.stateFolder)).map((path) => readFile(path, "latin1")),
    );
    expect(leaksIn(stored.join("\n")), "files of the edge").toEqual([]);

    // These prove that the checks above looked at the right places.
    expect(answers.join("\n")).toContain(played.taskId);
    expect(metrics.join("\n")).toContain("roomcast_load_units");
    expect(receiver.at(`/hook/${SECRETS.webhookToken}`)).not.toEqual([]);
    expect(system.lines.join("\n")).toContain(played.taskId);
    expect([...commandLines].join("\n")).toMatch(/ffmpeg.* http:\/\/source\.invalid/);
    expect([...commandLines].join("\n")).toMatch(/ffmpeg.* -f concat /);
    expect(stored.join("\n")).toContain(played.taskId);
  });
});
