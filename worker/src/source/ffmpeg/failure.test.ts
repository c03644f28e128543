import { RoomcastError } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { classifyEnd, classifyUnopened, type EndFacts } from "./failure.ts";
import type { FfmpegExit } from "./ffmpeg-process.ts";

const EXIT: FfmpegExit = { code: 0, signal: null, stderrTail: [] };
const DROPPED = new RoomcastError("FailedOperation.SourceUnreachable", "cdn.example closed the connection.");
const GONE = new RoomcastError("FailedOperation.SourceNotFound", "It does not exist (HTTP 404).");
const PLAYED: EndFacts = {
  exit: EXIT,
  upstreamFailure: undefined,
  endIsLoss: false,
  playedToMs: 10_000,
  declaredMs: 10_000,
};

describe("classifyEnd of a source that finished", () => {
  it.each<[string, Partial<EndFacts>]>([
    ["when it played to its declared end", {}],
    ["when its tracks end a little before the declared end", { playedToMs: 9100 }],
    ["when it declares no duration and nothing failed", { declaredMs: null }],
    ["when a request failed after all media arrived", { upstreamFailure: DROPPED }],
    ["when only a subtitle continues", { playedToMs: 5000, declaredIsRough: true }],
  ])("%s", (_name, facts) => {
    expect(classifyEnd({ ...PLAYED, ...facts })).toEqual({ name: "finished" });
  });
});

describe("classifyEnd of a source that failed", () => {
  it.each<[string, Partial<EndFacts>, string, string]>([
    [
      "the exit code is 0, but media are missing",
      { playedToMs: 5000 },
      "SourceTruncated",
      "ends at 5.0 s, but says that it is 10.0 s",
    ],
    [
      "the file was cut, and other tracks may continue",
      { playedToMs: 5000, declaredIsRough: true, exit: { ...EXIT, stderrTail: ["[matroska] File ended prematurely"] } },
      "SourceTruncated",
      "incomplete",
    ],
    [
      "ffmpeg was ended because it exceeded its memory",
      { playedToMs: 5000, exit: { ...EXIT, code: null, signal: "SIGKILL", memoryLimitBytes: 1536 * 1024 * 1024 } },
      "SourceUnsupported",
      "more memory than the 1536 MB",
    ],
    [
      "ffmpeg could not allocate memory",
      { playedToMs: null, exit: { ...EXIT, code: 1, stderrTail: ["Error while decoding: Cannot allocate memory"] } },
      "SourceUnsupported",
      "Give a smaller copy",
    ],
    [
      "a read failed and media are missing",
      { playedToMs: 5000, exit: { ...EXIT, code: 1 } },
      "SourceTruncated",
      "incomplete",
    ],
    [
      "the connection broke",
      { playedToMs: 5000, upstreamFailure: DROPPED },
      "SourceLost",
      "broke off at 5.0 s. cdn.example closed",
    ],
    [
      "the connection broke and no duration is declared",
      { declaredMs: null, upstreamFailure: DROPPED },
      "SourceLost",
      "closed",
    ],
    ["the file was deleted while it played", { playedToMs: 5000, upstreamFailure: GONE }, "SourceNotFound", "HTTP 404"],
    ["the file never existed", { playedToMs: null, upstreamFailure: GONE }, "SourceNotFound", "HTTP 404"],
    ["ffmpeg gave no media", { playedToMs: null }, "SourceNotMedia", "no media"],
    ["a live source ended", { endIsLoss: true, declaredMs: null }, "SourceLost", "live source ended after 10.0 s"],
    ["a live source broke", { endIsLoss: true, declaredMs: null, upstreamFailure: DROPPED }, "SourceLost", "closed"],
    [
      "ffmpeg was killed",
      { playedToMs: 5000, exit: { ...EXIT, code: null, signal: "SIGKILL" } },
      "MediaEngine",
      "SIGKILL",
    ],
    [
      "ffmpeg failed at the end",
      { exit: { code: 1, signal: null, stderrTail: ["a", "last words"] } },
      "MediaEngine",
      "(code 1): last words",
    ],
    [
      "a fragmented file ends inside a fragment",
      { declaredMs: PLAYED.playedToMs, inFragments: true, exit: { ...EXIT, stderrTail: ["stream 0: partial file"] } },
      "SourceTruncated",
      "in the middle of a fragment",
    ],
    [
      "ffmpeg is missing",
      { playedToMs: null, exit: { ...EXIT, code: null, startError: "ENOENT" } },
      "MediaEngine",
      "could not be started: ENOENT",
    ],
  ])("reports the cause when %s", (_name, facts, code, text) => {
    expect(classifyEnd({ ...PLAYED, ...facts })).toMatchObject({
      name: "failed",
      error: { code: `FailedOperation.${code}`, message: expect.stringContaining(text) },
    });
  });
});

describe("classifyUnopened", () => {
  it.each([
    ["http://source.invalid/0/media: Invalid data found when processing input", "SourceNotMedia"],
    ["[mov,mp4 @ 0x1] moov atom not found", "SourceNotMedia"],
    ["[x] Format not on whitelist 'mov,mp4'", "SourceUnsupported"],
    ["[hls @ 0x1] Protocol 'file' not on whitelist 'http,tcp,crypto'!", "SourceUnsupported"],
    ["[aac @ 0x1] Audio object type 42 is not implemented.", "SourceUnsupported"],
    ["Could not open codec for input stream 1", "SourceUnsupported"],
    ["Format dash detected only with low score of 1", "SourceUnsupported"],
    ["Decoder (codec av1) not found for input stream #0:0", "SourceUnsupported"],
    ["tcp://127.0.0.1:1: Connection timed out", "SourceTimeout"],
    ["[mjpeg @ 0x1] [IMGUTILS @ 0x2] Picture size 16384x16384 exceeds specified max pixel count", "SourceUnsupported"],
    [
      "[mpegts @ 0x1] Number of streams exceeds max_streams parameter (256), see the documentation",
      "SourceUnsupported",
    ],
    ["something else", "MediaEngine"],
  ])("%s: %s", (line, code) => {
    expect(classifyUnopened({ code: 1, signal: null, stderrTail: [line] }).code).toBe(`FailedOperation.${code}`);
  });

  it("hides the gateway's address", () => {
    const said = "http://source.invalid/0/media.mp4: Cannot allocate memory";
    const { message } = classifyUnopened({ code: 1, signal: null, stderrTail: [said] });
    expect(message).toBe("ffmpeg could not open the source (code 1): the source: Cannot allocate memory");
  });
});
