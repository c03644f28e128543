import { describe, expect, test } from "vitest";
import type { FlvTag } from "../../flv/flv-writer.ts";
import { sampleFlv } from "../../flv/sample-flv.ts";
import { judge, mediaTags, type Verdict } from "./filler.test-support.ts";
import { StreamFiller } from "./stream-filler.ts";

const FPS = 25;
/** Behind which picture of the clip how many are put in: the first is in the middle of its group, the last two are at the edges. */
const GAPS = new Map([
  [4, 1],
  [8, 5],
  [13, 45],
  [19, 5],
  [20, 5],
]);

function x264(params: string, ...more: string[]): string[] {
  const all = `keyint=20:scenecut=0:bframes=0:${params}`;
  return ["-c:v", "libx264", "-pix_fmt", "yuv420p", ...more, "-x264-params", all];
}

const CLIPS: readonly (readonly [name: string, video: readonly string[], size?: string])[] = [
  ["baseline, CAVLC", x264("ref=1", "-profile:v", "baseline")],
  ["baseline, CAVLC, four references", x264("ref=4", "-profile:v", "baseline")],
  ["main, CABAC", x264("ref=1:weightp=0", "-profile:v", "main")],
  ["main, CABAC, weighted and duplicated references", x264("ref=3:weightp=2", "-profile:v", "main")],
  ["main, CAVLC, weighted", x264("ref=2:weightp=1:cabac=0", "-profile:v", "main")],
  ["high, 8x8 transform, four references", x264("ref=4:weightp=2:8x8dct=1", "-profile:v", "high")],
  ["high, CAVLC, 8x8 transform", x264("ref=2:weightp=2:8x8dct=1:cabac=0", "-profile:v", "high")],
  ["four slices", x264("slices=4:ref=2:weightp=1")],
  ["many small slices", x264("slice-max-size=900:ref=2", "-profile:v", "baseline")],
  ["an open picture group", x264("ref=3:open-gop=1")],
  ["periodic intra refresh", x264("ref=1:intra-refresh=1")],
  ["access unit delimiters and a buffer model", x264("ref=2:aud=1:nal-hrd=vbr:vbv-maxrate=800:vbv-bufsize=800")],
  ["picture order type 0", x264("ref=3:bframes=1:b-adapt=1:b-bias=-100:weightp=2")],
  ["picture order type 0, CAVLC", x264("ref=1:bframes=1:b-adapt=1:b-bias=-100:cabac=0")],
  ["no deblocking", x264("ref=1:no-deblock=1")],
  ["a low quantizer", x264("ref=1:qp=3")],
  ["a high quantizer", x264("ref=1:qp=48")],
  ["constant fading", [...x264("ref=2:weightp=2"), "-vf", "fade=in:0:24"]],
  ["a size that is cropped", x264("ref=2"), "318x178"],
  ["a narrow picture", x264("ref=2:cabac=0"), "34x210"],
  ["one macroblock", x264("ref=1"), "16x16"],
  ["a 720p picture, ultrafast", x264("ref=1", "-preset", "ultrafast", "-tune", "zerolatency"), "1280x720"],
  ["veryfast zerolatency", x264("", "-preset", "veryfast", "-tune", "zerolatency")],
  ["slow", x264("", "-preset", "slow")],
];

/** The clip, with repeated pictures put in: timestamps rise, 40 ms a picture. */
function withGaps(tags: readonly FlvTag[]): FlvTag[] {
  const filler = new StreamFiller();
  const filled: FlvTag[] = [];
  let pictures = 0;
  let inserted = 0;
  for (const tag of mediaTags(tags)) {
    filler.observe(tag);
    filled.push({ kind: "video", timestampMs: tag.dtsMs + inserted * 40, payload: tag.payload });
    if (tag.sequenceHeader) continue;
    for (let left = GAPS.get(pictures) ?? 0; left > 0; left -= 1) {
      inserted += 1;
      const payload = filler.picture()?.payload ?? Buffer.alloc(0);
      filled.push({ kind: "video", timestampMs: tag.dtsMs + inserted * 40, payload });
    }
    pictures += 1;
  }
  return filled;
}

function expectedOf({ frames }: Verdict): string[] {
  return frames.flatMap(({ md5 }, index) => Array<string>(1 + (GAPS.get(index) ?? 0)).fill(md5));
}

describe("a picture of skipped macroblocks, put into the middle of a picture group once and many times", () => {
  test.concurrent.each(CLIPS)("repeats the last picture and disturbs none that follows: %s", async (_, video, size) => {
    const clip = await sampleFlv({ seconds: 1.2, fps: FPS, video, audio: [], size: size ?? "160x96" });
    const [plain, filled] = await Promise.all([judge(clip, "video"), judge(withGaps(clip), "video")]);
    expect(plain.frames).toHaveLength(30);
    expect(new Set(plain.frames.map((frame) => frame.md5)).size).toBe(30);
    expect(filled.complaints).toBe(plain.complaints);
    expect(filled.frames.map((frame) => frame.md5)).toEqual(expectedOf(plain));
    expect(filled.frames.map((frame) => frame.timestampMs - (filled.frames[0]?.timestampMs ?? 0))).toEqual(
      filled.frames.map((_frame, index) => index * 40),
    );
  });
});
