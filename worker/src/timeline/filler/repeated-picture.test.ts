import { beforeAll, describe, expect, it } from "vitest";
import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import { parsePps } from "../../media/codec/pps.ts";
import type { ParameterSets, SliceHeader } from "../../media/codec/slice-header.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import { judge, mediaTags, type ShownFrame } from "./filler.test-support.ts";
import { orderedByType1 } from "./picture-order.test-support.ts";
import { makeRepeatedPicture } from "./repeated-picture.ts";
import { StreamFiller } from "./stream-filler.ts";

const FPS = 25;
const SIZE = "160x96";
/**
 * The number of repeated pictures to insert after each picture of the clip: in the middle of a GOP of 20, where a frame
 * number of four bits wraps, after the last picture of a GOP and after a keyframe.
 */
const GAPS = new Map([
  [4, 1],
  [8, 5],
  [13, 45],
  [15, 2],
  [19, 5],
  [20, 5],
]);

function x264(params: string, ...more: string[]): string[] {
  const all = `keyint=20:scenecut=0:bframes=0:${params}`;
  return ["-c:v", "libx264", "-pix_fmt", "yuv420p", ...more, "-x264-params", all];
}

const TYPE_0 = "bframes=1:b-adapt=1:b-bias=-100";
const CLIPS: readonly (readonly [name: string, video: readonly string[], size: string])[] = [
  ["baseline, CAVLC", x264("ref=1", "-profile:v", "baseline"), SIZE],
  ["baseline, four references, small slices", x264("ref=4:slice-max-size=900", "-profile:v", "baseline"), SIZE],
  ["main, CABAC, no deblocking", x264("ref=1:weightp=0:no-deblock=1", "-profile:v", "main"), SIZE],
  ["main, CABAC, a fade, weighted and duplicated references", x264("ref=3:weightp=2", "-vf", "fade=in:0:24"), SIZE],
  ["main, CAVLC, weighted, a low quantizer", x264("ref=2:weightp=1:cabac=0:8x8dct=0:qp=3"), SIZE],
  ["high, 8x8 transform, four references, a high quantizer", x264("ref=4:weightp=2:8x8dct=1:qp=48"), SIZE],
  ["high, CAVLC, 8x8 transform", x264("ref=2:8x8dct=1:cabac=0", "-profile:v", "high"), SIZE],
  ["four slices, cropped", x264("slices=4:ref=2:weightp=1"), "158x94"],
  ["an open picture group", x264("ref=3:open-gop=1"), SIZE],
  ["periodic intra refresh", x264("ref=1:intra-refresh=1"), SIZE],
  ["access unit delimiters and a buffer model", x264("ref=2:aud=1:nal-hrd=vbr:vbv-maxrate=800:vbv-bufsize=800"), SIZE],
  ["picture order type 0", x264(`ref=3:weightp=2:${TYPE_0}`), SIZE],
  ["picture order type 0, CAVLC", x264(`ref=1:cabac=0:${TYPE_0}`), SIZE],
  ["one macroblock", x264("ref=1"), "16x16"],
  ["a narrow picture", x264("ref=2:cabac=0"), "34x210"],
  ["a larger picture, as live encoders do it", x264("", "-preset", "superfast", "-tune", "zerolatency"), "640x352"],
  ["the slow preset", x264("", "-preset", "slow"), SIZE],
];

function setsOf(clip: readonly FlvTag[]): ParameterSets {
  const record = mediaTags(clip).find((tag) => tag.kind === "video" && tag.sequenceHeader)?.payload ?? Buffer.alloc(0);
  const { sps, ppsUnits } = parseAvcConfig(record.subarray(5));
  return { sps, pps: parsePps(ppsUnits[0] ?? new Uint8Array()) };
}

/** Returns the clip with repeated pictures inserted. Timestamps increase by 40 ms per picture. */
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

function withRepeats(frames: readonly ShownFrame[]): string[] {
  return frames.flatMap(({ md5 }, index) => Array<string>(1 + (GAPS.get(index) ?? 0)).fill(md5));
}

describe("makeRepeatedPicture", () => {
  describe("when the pictures are inserted into a GOP, once and many times", () => {
    it.concurrent.each(CLIPS)(
      "repeats the last picture and does not disturb the following ones: %s",
      async (name, video, size) => {
        const clip = await sampleFlv({ seconds: 1.2, fps: FPS, video, audio: [], size });
        expect(setsOf(clip).sps.picOrderCnt.type).toBe(name.startsWith("picture order type 0") ? 0 : 2);
        const { first, second, complaints } = await judge("video", [clip, withGaps(clip)]);
        expect(complaints).toBe("");
        expect(new Set(first.map((frame) => frame.md5)).size).toBe(30);
        expect(second.map((frame) => frame.md5)).toEqual(withRepeats(first));
        const startMs = second[0]?.timestampMs ?? 0;
        expect(second.map((frame) => frame.timestampMs - startMs)).toEqual(second.map((_frame, index) => index * 40));
      },
    );
  });

  describe("when the picture order has type 1, which no available encoder makes", () => {
    it.each([
      ["without deltas", { deltaAlwaysZero: true, offsetForNonRefPic: 1 }],
      ["with deltas", { deltaAlwaysZero: false, offsetForNonRefPic: -1 }],
    ])("repeats the last picture and does not disturb the following ones: %s", async (_, order) => {
      const video = x264("ref=2", "-profile:v", "baseline");
      const clip = await sampleFlv({ seconds: 1.2, fps: FPS, video, audio: [], size: SIZE });
      const rewritten = orderedByType1(clip, order);
      expect(setsOf(rewritten).sps.picOrderCnt).toEqual({ type: 1, ...order });
      const { first, second, complaints } = await judge("video", [clip, withGaps(rewritten)]);
      expect(complaints).toBe("");
      expect(second.map((frame) => frame.md5)).toEqual(withRepeats(first));
    });
  });

  function make(last: SliceHeader, nalLengthSize: 1 | 2 | 4 = 4): Buffer | undefined {
    return makeRepeatedPicture({ last, nalLengthSize, lastTagBody: Buffer.from([0x27, 1, 0, 0, 0]) });
  }

  describe("when the stream does not allow it", () => {
    let last: SliceHeader;
    beforeAll(async () => {
      const clip = await sampleFlv({ seconds: 0.08, fps: FPS, video: x264("ref=2"), audio: [], size: SIZE });
      last = {
        ...setsOf(clip),
        type: "P",
        idr: false,
        reference: true,
        frameNum: 1,
        picOrderCntLsb: 0,
        deltaPicOrderCntBottom: 0,
        deltaPicOrderCnt: [0, 0],
        adaptiveMarking: [],
      };
    });

    it("returns undefined only for such a stream", () => {
      const noRef: SliceHeader["sps"]["picOrderCnt"] = { type: 1, deltaAlwaysZero: true, offsetForNonRefPic: -1 };
      expect(make(last)).toBeInstanceOf(Buffer);
      expect(make({ ...last, type: "I" })).toBeInstanceOf(Buffer);
      expect(make({ ...last, adaptiveMarking: [1, 2, 3, 4] })).toBeInstanceOf(Buffer);
      expect(make(last, 1)).toBeInstanceOf(Buffer);
      expect(make({ ...last, type: "B" })).toBeUndefined();
      expect(make({ ...last, adaptiveMarking: [1, 5] })).toBeUndefined();
      expect(make({ ...last, adaptiveMarking: [6] })).toBeUndefined();
      for (const sps of [
        { profileIdc: 88 },
        { profileIdc: 110 },
        { profileIdc: 244 },
        { constraintFlags: 0x10 },
        { maxNumRefFrames: 0 },
        { frameMbsOnly: false },
        { widthInMbs: 1000, heightInMapUnits: 1000 },
        { picOrderCnt: noRef },
      ]) {
        expect(make({ ...last, sps: { ...last.sps, ...sps } })).toBeUndefined();
      }
      // Its data has more bytes than a length field of one byte can express.
      const huge = { ...last, sps: { ...last.sps, widthInMbs: 300, heightInMapUnits: 300 } };
      expect(make(huge, 2)).toBeInstanceOf(Buffer);
      expect(make(huge, 1)).toBeUndefined();
    });
  });
});
