import { type LogLine, pushRequestSchema, RoomcastError, secretsOf, validate } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { createLogger, createTaskLogger } from "./logger.ts";
import { RepeatedError } from "./repeated-error.ts";

const SIG = "eJyrVgrxCdYrSy1SslI";
const PASSWORD = "hunter2hunter2";
const SIGNED = "https://media.example.com/a.mp4?sign=0123abcd&t=77";

const request = validate(pushRequestSchema, {
  VideoSrc: SIGNED,
  SdkAppId: 1400000001,
  RoomId: 42,
  UserId: "teacher",
  UserSig: SIG,
  Redis: true,
  RedisHost: "10.0.0.5",
  RedisPort: 6379,
  RedisPassword: PASSWORD,
});

function capture(level = "debug") {
  const written: string[] = [];
  const shown: LogLine[] = [];
  const destination = { write: (line: string) => void written.push(line) };
  const log = createTaskLogger({
    level,
    destination,
    taskId: "11111111-1111-4111-8111-111111111111",
    attempt: 2,
    sdkAppId: 1_400_000_001,
    room: "lesson",
    secrets: secretsOf(request),
    onLine: (line) => shown.push(line),
  });
  const all = () => written.join("") + JSON.stringify(shown);
  return { log, written, shown, all, destination };
}

describe("Logger", () => {
  it("removes secrets from messages, fields, errors, their causes and stacks", () => {
    const { log, all } = capture();
    const inner = new Error(`connect failed: rtmp://host/push/42?sdkappid=1&usersig=${SIG}`);
    const middle = new Error(`AUTH ${PASSWORD} was refused`, { cause: inner });
    const outer = new RoomcastError("InternalError", `reading ${SIGNED} failed`, { cause: middle });
    log.error({ err: outer }, "failed");
    log.info({ request, nested: { deep: [{ RedisPassword: PASSWORD, url: SIGNED }] } }, `playing ${SIGNED}`);
    log.warn({ line: `tls: password=${PASSWORD} in "${SIGNED}"`, authorization: "Bearer abc.def" }, "stderr");
    log.child({ UserSig: SIG, source: SIGNED }).debug("child");
    for (const secret of [SIG, PASSWORD, "0123abcd", "sign=", "abc.def"]) expect(all()).not.toContain(secret);
    expect(all()).toContain("https://media.example.com/a.mp4?…");
  });

  it("writes a foreign server's text without control characters, and in one line for users", () => {
    const { log, written, shown } = capture();
    const error = new RoomcastError("FailedOperation.SourceForbidden", "refused (\u009b2J\r\nforged \u202e)");
    log.warn({ err: error, line: "\u001b[31mred" }, "source");
    expect(written.join("").trimEnd()).not.toMatch(/[\p{Cc}\u202e]|\\u00|\\r/u);
    expect(shown[0]?.message).toBe(
      "source FailedOperation.SourceForbidden: refused (\u{FFFD}2J  forged \u{FFFD}) line=\u{FFFD}[31mred",
    );
  });

  it("removes the secrets of the process as well", () => {
    const { written, destination } = capture();
    createLogger({ level: "info", destination, secrets: ["the-worker-token"] }).info(
      { err: new Error("header Bearer the-worker-token was refused") },
      "edge",
    );
    expect(written.join("")).not.toContain("the-worker-token");
    expect(written.join("")).toContain("was refused");
  });

  it("writes every line as a JSON object that names the task and the attempt", () => {
    const { log, written } = capture();
    log.info({ fps: 30 }, 'a "quoted"\nmessage with https://x.example/?a=b\\"');
    expect(written).toHaveLength(1);
    expect(JSON.parse(written[0] ?? "")).toMatchObject({
      level: 30,
      taskId: "11111111-1111-4111-8111-111111111111",
      attempt: 2,
      fps: 30,
    });
  });

  it("passes the same lines as text, with level and fields, to the task's log", () => {
    const { log, shown } = capture();
    log.info({ state: "pushing", positionMs: 1200 }, "state changed");
    log.error({ err: new RoomcastError("FailedOperation.SourceLost", "The source was lost.") }, "failed");
    log.trace("not for users");
    expect(shown).toEqual([
      { atMs: expect.any(Number), level: "info", message: "state changed state=pushing positionMs=1200" },
      {
        atMs: expect.any(Number),
        level: "error",
        message: "failed FailedOperation.SourceLost: The source was lost.",
      },
    ]);
  });

  it("writes the causes of an error, each with its message", () => {
    const { log, written } = capture();
    log.error({ err: new Error("outer", { cause: new Error("inner", { cause: "a text" }) }) }, "failed");
    expect(JSON.parse(written[0] ?? "").err).toMatchObject({
      message: "outer",
      cause: { message: "inner", cause: { message: "a text" } },
    });
  });

  it("does not hang on an error whose cause is itself", () => {
    const { log, written } = capture();
    const loop = new Error("loop");
    loop.cause = loop;
    log.error({ err: loop }, "failed");
    expect(written).toHaveLength(1);
  });

  it("logs a repeated error once and counts it", () => {
    const { log, written } = capture();
    const repeated = new RepeatedError(log, { first: "it fails", over: "it works again" });
    for (let times = 0; times < 100; times += 1) repeated.happened(new Error("again"));
    repeated.over();
    repeated.over();
    expect(written.map((line) => JSON.parse(line)).map(({ msg, times }) => [msg, times])).toEqual([
      ["it fails", undefined],
      ["it works again", 100],
    ]);
  });
});
