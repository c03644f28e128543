import { type ErrorCode, type Outcome, RoomcastError } from "@roomcast/shared";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createTaskLogger } from "../base/logger.ts";
import { logEnd } from "./log-end.ts";

function logged(outcome: Outcome, cause?: RoomcastError): Record<string, unknown>[] {
  const lines: string[] = [];
  const log = createTaskLogger({
    level: "info",
    destination: { write: (line) => void lines.push(line) },
    taskId: "11111111-1111-4111-8111-111111111111",
    attempt: 3,
    sdkAppId: 1_400_000_001,
    room: "lesson",
    onLine: () => {},
  });
  logEnd(log, { outcome, item: 1, positionMs: 5000.4 }, cause);
  return lines.map((line) => JSON.parse(line));
}

const failed = (code: ErrorCode): Outcome => ({ name: "failed", error: new RoomcastError(code, "why").toBody() });
const { info, warn, error } = pino.levels.values;

describe("logEnd", () => {
  it.each<[string, Outcome, number | undefined, Record<string, unknown>]>([
    ["a finished push", { name: "finished" }, info, { outcome: "finished" }],
    ["a push given back", { name: "released" }, info, { outcome: "released" }],
    [
      "a push that was stopped",
      { name: "aborted", reason: "stopped by the user" },
      info,
      { reason: "stopped by the user" },
    ],
    [
      "a source that was lost",
      failed("FailedOperation.SourceLost"),
      warn,
      { err: { code: "FailedOperation.SourceLost", message: "why" } },
    ],
    [
      "a fault of ffmpeg",
      failed("FailedOperation.MediaEngine"),
      error,
      { err: { code: "FailedOperation.MediaEngine" } },
    ],
    ["an internal fault", failed("InternalError"), error, { err: { code: "InternalError" } }],
  ])("writes one line with the right level and the cause for %s", (_what, outcome, level, fields) => {
    const place = {
      taskId: "11111111-1111-4111-8111-111111111111",
      attempt: 3,
      sdkAppId: 1_400_000_001,
      room: "lesson",
    };
    const lines = logged(outcome);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ msg: "task ended", level, item: 1, positionMs: 5000, ...place, ...fields });
  });

  it("includes the error that caused the cause", () => {
    const cause = new RoomcastError("InternalError", "Something inside Roomcast went wrong.", {
      cause: new Error("deep"),
    });
    expect(logged({ name: "failed", error: cause.toBody() }, cause)[0]).toMatchObject({
      err: { cause: { message: "deep" } },
    });
  });
});
