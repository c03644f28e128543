import { beforeAll, describe, expect, it } from "vitest";
import { demux, ffmpeg, inPieces, randomFrom } from "../demux/demux.test-support.ts";
import { Fmp4Demuxer } from "../demux/fmp4/fmp4-demuxer.ts";
import { media } from "../sources.test-support.ts";
import { ContinuousFragments } from "./continuous-fragments.ts";

const CLIP =
  "-f lavfi -i testsrc2=s=64x48:r=10:d=2 -f lavfi -i sine=r=16000:d=2 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 10 -bf 0 -c:a aac -b:a 16k";
const FRAGMENTS = `${CLIP} -movflags frag_keyframe+empty_moov+default_base_moof -f mp4`;

describe("ContinuousFragments", () => {
  let init: Buffer;
  let fragments: Buffer;

  beforeAll(async () => {
    const whole = await ffmpeg(FRAGMENTS);
    const firstByte = whole.indexOf("moof", 0, "latin1") - 4;
    const lastByte = whole.indexOf("mfra", 0, "latin1") - 4;
    init = whole.subarray(0, firstByte);
    fragments = whole.subarray(firstByte, lastByte < 0 ? whole.length : lastByte);
  });

  function passed(segments: readonly Buffer[], options: { announced?: boolean; pieces?: () => number } = {}): Buffer {
    const { announced = false, pieces = () => 4096 } = options;
    const clock = new ContinuousFragments();
    const out: Buffer[] = [];
    for (const segment of segments) {
      clock.beginSegment(announced);
      for (const piece of inPieces(segment, pieces)) out.push(...clock.push(piece));
      out.push(clock.flush());
    }
    return Buffer.concat(out);
  }

  function stepsOf(bytes: Buffer, kind: "audio" | "video"): number[] {
    const times = media(demux((options) => new Fmp4Demuxer(options), [bytes]).tags, kind).map(({ dtsMs }) => dtsMs);
    return times.slice(1).map((time, at) => time - (times[at] ?? 0));
  }

  it("changes nothing where the clock goes on", () => {
    expect(passed([init, fragments]).equals(Buffer.concat([init, fragments]))).toBe(true);
  });

  it.each([false, true])(
    "sets fragments whose clock begins again behind the ones before; announced: %s",
    (announced) => {
      const bytes = passed([init, fragments, fragments, fragments], { announced });
      const own = stepsOf(Buffer.concat([init, fragments]), "video");
      const expected = [...own, 100, ...own, 100, ...own];
      const pictures = stepsOf(bytes, "video");
      expect(pictures.map((step) => Math.round(step))).toEqual(expected.map((step) => Math.round(step)));
      const sound = stepsOf(bytes, "audio");
      expect(sound.filter((step) => Math.abs(step - 64) > 1).length).toBeLessThanOrEqual(2);
      expect(Math.max(...sound)).toBeLessThan(300);
    },
  );

  it("gives the same bytes in whatever pieces they come", () => {
    const random = randomFrom(7);
    const segments = [init, fragments, fragments];
    const whole = passed(segments);
    for (const longest of [1, 7, 900]) {
      expect(passed(segments, { pieces: () => 1 + random(longest) }).equals(whole)).toBe(true);
    }
  });

  it("lets damaged fragments pass, byte for byte in number", () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = randomFrom(seed);
      const bytes = Buffer.concat([init, fragments, fragments.subarray(random(fragments.length))]);
      for (let wrong = 1 + random(60); wrong > 0; wrong -= 1) bytes.writeUInt8(random(256), random(bytes.length));
      const segments = [bytes.subarray(0, random(bytes.length)), bytes];
      const length = segments.reduce((sum, segment) => sum + segment.length, 0);
      expect(passed(segments, { pieces: () => 1 + random(3000) }).length, `seed ${seed}`).toBe(length);
    }
  });
});
