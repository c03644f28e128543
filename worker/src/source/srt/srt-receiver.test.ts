import { describe, expect, it } from "vitest";
import type { FfmpegExit } from "../ffmpeg/ffmpeg-process.ts";
import { srtFailure } from "./srt-receiver.ts";

const EXIT: FfmpegExit = { code: 1, signal: null, stderrTail: [] };
const NOT_CONNECTED = ["[srt @ 0x1] Connection to srt://203.0.113.7:9000 failed: Input/output error"];

describe("srtFailure", () => {
  it.each<[string, Partial<FfmpegExit>, boolean, string, string]>([
    ["that had delivered data", { code: 0 }, true, "SourceLost", "h:9000 ended the SRT connection."],
    ["that had delivered data and then broke", { stderrTail: NOT_CONNECTED }, true, "SourceLost", "h:9000 ended"],
    [
      "that was refused or not answered",
      { stderrTail: NOT_CONNECTED },
      false,
      "SourceUnreachable",
      "accepted no SRT connection",
    ],
    [
      "that carried something other than MPEG-TS",
      { stderrTail: ["[concat @ 0x1] Format not on whitelist 'mpegts'"] },
      false,
      "SourceUnsupported",
      "does not send MPEG-TS",
    ],
    ["that ffmpeg could not start", { code: null, startError: "ENOENT" }, false, "MediaEngine", "could not open"],
  ])("reports the end of a call %s", (_name, exit, received, code, text) => {
    expect(srtFailure({ ...EXIT, ...exit }, "h:9000", received)).toMatchObject({
      code: `FailedOperation.${code}`,
      message: expect.stringContaining(text),
    });
  });
});
