import { expect, it } from "vitest";
import type { FfmpegExit } from "../ffmpeg/ffmpeg-process.ts";
import { srtFailure } from "./srt-receiver.ts";

const EXIT: FfmpegExit = { code: 1, signal: null, stderrTail: [] };
const NOT_CONNECTED = ["[srt @ 0x1] Connection to srt://203.0.113.7:9000 failed: Input/output error"];

it.each<[string, Partial<FfmpegExit>, boolean, string, string]>([
  ["that gave something", { code: 0 }, true, "SourceLost", "h:9000 ended the SRT connection."],
  ["that gave something, then broke", { stderrTail: NOT_CONNECTED }, true, "SourceLost", "h:9000 ended"],
  ["that nobody answered, or refused", { stderrTail: NOT_CONNECTED }, false, "SourceUnreachable", "took no SRT call"],
  [
    "that brought something else than MPEG-TS",
    { stderrTail: ["[concat @ 0x1] Format not on whitelist 'mpegts'"] },
    false,
    "SourceUnsupported",
    "sends no MPEG-TS",
  ],
  ["that ffmpeg could not make", { code: null, startError: "ENOENT" }, false, "MediaEngine", "could not open"],
])("the end of an SRT call %s is told as what it is", (_name, exit, received, code, text) => {
  expect(srtFailure({ ...EXIT, ...exit }, "h:9000", received)).toMatchObject({
    code: `FailedOperation.${code}`,
    message: expect.stringContaining(text),
  });
});
