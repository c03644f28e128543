import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { WorkerFrameOf } from "@roomcast/shared";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { APP, call, fresh, pushBody, start, userSig } from "./fixtures.test-support.ts";
import { storedIn } from "./stored-in.test-support.ts";

// Sealed texts are random, so the tests can look only for their format. See seal.ts.
const SEALED = /v2\.[0-9]+\.[A-Za-z0-9+/=]{16}\.[A-Za-z0-9+/=]+/;
const SECRETS = ["redis-password-secret", "callback-key-secret", "url-token-secret", "map-key-secret"];

beforeEach(() => {
  // The callback receiver accepts everything.
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response(""));
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Returns everything that a task has stored as one text. */
function stored(taskId: string): Promise<string> {
  return runInDurableObject(env.TASK.getByName(taskId), (_object, { storage }) => {
    const tables = storage.sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
    const rows = tables
      .filter(({ name }) => !name.startsWith("_cf") && !name.startsWith("sqlite"))
      .map(({ name }) => storage.sql.exec(`SELECT * FROM "${name}"`).toArray());
    return JSON.stringify([[...storage.kv.list()], rows]);
  });
}

interface Pushed {
  readonly taskId: string;
  readonly connectWorker: () => Promise<FakeWorker>;
}

type End = (pushed: Pushed) => Promise<unknown>;

interface Running {
  readonly ref: { readonly taskId: string; readonly attempt: number };
  readonly worker: FakeWorker;
}

async function running({ taskId, connectWorker }: Pushed): Promise<Running> {
  const worker = await connectWorker();
  const { attempt } = await worker.next("dispatch", (frame) => frame.taskId === taskId);
  worker.report([reportOf({ taskId, attempt })]);
  return { ref: { taskId, attempt }, worker };
}

function endsBy(outcome: WorkerFrameOf<"ended">["outcome"]): End {
  return async (pushed) => {
    const { ref, worker } = await running(pushed);
    worker.ended(ref, outcome);
  };
}

const failure = { code: "FailedOperation.SourceLost", message: "gone", retryable: true } as const;

describe("Secrets of a push", () => {
  it.each<[string, End]>([
    ["was played to its end", endsBy({ name: "finished" })],
    ["has failed", endsBy({ name: "failed", error: failure })],
    ["was stopped before it had a worker", ({ taskId }) => call(`/v1/tasks/${taskId}`, { method: "DELETE" })],
    [
      "was stopped while it ran",
      async (pushed) => {
        const { ref, worker } = await running(pushed);
        await call(`/v1/tasks/${ref.taskId}`, { method: "DELETE" });
        worker.ended(ref, { name: "aborted", reason: "stopped" });
      },
    ],
  ])("are not stored, even sealed, once the push %s", async (_what, end) => {
    const Region = fresh("ap");
    const UserSig = await userSig();
    const body = await pushBody({
      Region,
      UserSig,
      VideoSrc: "https://media.example/lesson.mp4?token=url-token-secret",
      PrivateMapKey: "map-key-secret",
      Redis: true,
      RedisHost: "redis.example",
      RedisPort: 6379,
      RedisPassword: "redis-password-secret",
      CallbackUrl: "https://hooks.example.com/x?token=url-token-secret",
      CallbackKey: "callback-key-secret",
      CallbackEvents: "all",
    });
    const taskId = await start(body);
    const accepted = await eventually(async () => {
      const text = await stored(taskId);
      expect(text).toMatch(SEALED);
      return text;
    });
    const connectWorker = async () => {
      const worker = await FakeWorker.connect({ workerId: fresh("worker"), region: Region });
      onTestFinished(() => worker.close());
      return worker;
    };
    await end({ taskId, connectWorker });
    const ended = await eventually(async () => {
      const text = await stored(taskId);
      expect(text).not.toMatch(SEALED);
      return text;
    });
    expect(ended).toContain(taskId);
    // The directory that accepted the push no longer has any of its secrets either.
    const directory = await storedIn(env.DIRECTORY.getByName(String(APP)));
    expect(directory).toContain(taskId);
    expect(directory).not.toMatch(SEALED);
    for (const text of [accepted, ended, directory]) {
      expect([UserSig, ...SECRETS].filter((secret) => text.includes(secret))).toEqual([]);
    }
  });
});
