import { beforeAll, describe, expect, it } from "vitest";
import { type Demuxed, demux, ffmpeg, inPieces, randomFrom, shown } from "./demux.test-support.ts";
import { DemuxError, type Demuxer, type DemuxerOptions } from "./demuxer.ts";
import { detectContainer } from "./detect-container.ts";
import { Fmp4Demuxer } from "./fmp4/fmp4-demuxer.ts";
import { TsDemuxer } from "./mpegts/ts-demuxer.ts";
import { PackedAudioDemuxer } from "./packed-audio/packed-audio-demuxer.ts";

const CLIP =
  "-f lavfi -i testsrc2=s=64x48:r=10:d=1.5 -f lavfi -i sine=r=16000:d=1.5 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 5 -bf 1 -c:a aac -b:a 16k";

const MAKERS: Readonly<Record<string, (options: DemuxerOptions) => Demuxer>> = {
  "MPEG-TS": (options) => new TsDemuxer(options),
  "fragmented MP4": (options) => new Fmp4Demuxer(options),
  "packed audio": (options) => new PackedAudioDemuxer(options),
};
const RECIPES: Readonly<Record<string, string>> = {
  "MPEG-TS": `${CLIP} -f mpegts`,
  "fragmented MP4": `${CLIP} -movflags frag_keyframe+empty_moov -f mp4`,
  "packed audio":
    "-f lavfi -i sine=r=16000:d=1.5 -c:a aac -b:a 16k -id3v2_version 4 -write_id3v2 1 -metadata title=T -f adts",
};
const KINDS = Object.keys(MAKERS);

describe.each(KINDS)("The demuxer of %s", (kind) => {
  let sound: Buffer;
  let whole: Demuxed;
  const make =
    MAKERS[kind] ?? (() => new TsDemuxer({ onTracks: () => ({ video: null, audio: null }), onTag: () => {} }));
  beforeAll(async () => {
    sound = await ffmpeg(RECIPES[kind] ?? "");
    whole = demux(make, [sound]);
    if (whole.tags.length < 15) throw new Error("The sound stream gives too few tags to test with.");
  });

  /** @returns the output, or null if the demuxer refused the bytes. */
  function attempt(pieces: Iterable<Buffer>, where: string): Demuxed | null {
    try {
      return demux(make, pieces);
    } catch (thrown) {
      if (thrown instanceof DemuxError) return null;
      throw new Error(`${where}: ${String(thrown)}`, { cause: thrown });
    }
  }

  it("gives the first tags of a stream that ends at any byte and never refuses it", () => {
    const tags = new Set(whole.tags.map((tag) => shown([tag])));
    for (let length = 0; length < sound.length; length += length < 1500 ? 1 : 61) {
      const cut = attempt([sound.subarray(0, length)], `cut at ${length}`);
      expect(cut, `cut at ${length}`).not.toBeNull();
      const odd = (cut?.tags ?? []).slice(0, -2).filter((tag) => !tags.has(shown([tag])));
      expect(odd, `cut at ${length}`).toEqual([]);
    }
  });

  it("gives tags or the typed error for a damaged stream, and no more bytes than came in", () => {
    for (let seed = 1; seed <= 400; seed += 1) {
      const random = randomFrom(seed);
      const from = random(4) === 0 ? random(sound.length) : 0;
      const parts = [sound.subarray(from), sound.subarray(random(sound.length))];
      const gone = random(sound.length);
      if (random(3) === 0) parts.unshift(sound.subarray(0, gone), sound.subarray(gone + random(400)));
      const bytes = Buffer.concat(parts);
      for (let wrong = random(80); wrong > 0; wrong -= 1) {
        const at = random(random(2) === 0 ? Math.min(2000, bytes.length) : bytes.length);
        if (random(2) === 0) bytes.writeUInt8(random(256), at);
        else bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random(8)), at);
      }
      const pieces = random(2) === 0 ? [bytes] : inPieces(bytes, () => 1 + random(3000));
      const out = attempt(pieces, `seed ${seed}`);
      const given = (out?.tags ?? []).reduce((sum, { payload }) => sum + payload.length, 0);
      expect(given, `seed ${seed}`).toBeLessThan(2 * bytes.length + 100 * (out?.tags.length ?? 0));
      for (const { dtsMs, compositionMs } of out?.tags ?? []) {
        expect(Number.isFinite(dtsMs) && Number.isInteger(compositionMs), `seed ${seed}`).toBe(true);
      }
    }
  });

  it("refuses random bytes or gives no tags of them", () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = randomFrom(seed);
      const bytes = Buffer.from(Array.from({ length: 3000 }, () => random(256)));
      expect(attempt([bytes], `seed ${seed}`)?.tags.length ?? 0, `seed ${seed}`).toBe(0);
      expect(detectContainer(bytes), `seed ${seed}`).toBe("unknown");
    }
  });

  it("gives the same tags for a damaged stream in pieces of any size", () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = randomFrom(seed);
      const bytes = Buffer.from(sound);
      for (let wrong = random(20); wrong > 0; wrong -= 1) bytes.writeUInt8(random(256), random(bytes.length));
      const once = attempt([bytes], `seed ${seed}`);
      const most = 1 + random(random(2) === 0 ? 8 : 5000);
      const again = attempt(
        inPieces(bytes, () => 1 + random(most)),
        `seed ${seed}`,
      );
      expect(again === null, `seed ${seed}`).toBe(once === null);
      expect(shown(again?.tags ?? []), `seed ${seed}`).toBe(shown(once?.tags ?? []));
    }
  });
});
