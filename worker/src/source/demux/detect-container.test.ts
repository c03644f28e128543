import { beforeAll, describe, expect, it } from "vitest";
import { ffmpeg } from "./demux.test-support.ts";
import { type ContainerFormat, detectContainer } from "./detect-container.ts";

const INPUT = "-f lavfi -i testsrc2=s=64x64:r=10:d=1 -f lavfi -i sine=r=48000:d=1";
const BOTH = `${INPUT} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac`;
const SOUND = "-f lavfi -i sine=r=48000:d=1";

const MADE: readonly (readonly [string, ContainerFormat, string])[] = [
  ["a transport stream", "mpegts", `${BOTH} -f mpegts`],
  ["a transport stream with times in front of its packets", "mpegts", `${BOTH} -mpegts_m2ts_mode 1 -f mpegts`],
  ["a fragmented MP4 file", "fmp4", `${BOTH} -movflags frag_keyframe+empty_moov -f mp4`],
  ["a fragmented MP4 file of DASH", "fmp4", `${BOTH} -movflags dash+frag_keyframe+empty_moov -f mp4`],
  ["AAC in ADTS", "adts", `${SOUND} -c:a aac -f adts`],
  ["MP3", "mp3", `${SOUND} -c:a libmp3lame -write_id3v1 0 -id3v2_version 0 -write_xing 0 -f mp3`],
  ["MP3 of a low rate", "mp3", `${SOUND} -c:a libmp3lame -ar 16000 -b:a 24k -id3v2_version 0 -f mp3`],
  ["MP2", "mp3", `${SOUND} -c:a mp2 -f mp2`],
  ["MP3 with a tag", "id3", `${SOUND} -c:a libmp3lame -metadata title=T -f mp3`],
  ["AC-3", "ac3", `${SOUND} -c:a ac3 -f ac3`],
  ["FLV", "flv", `${BOTH} -f flv`],
  ["Matroska", "unknown", `${BOTH} -f matroska`],
];

describe("detectContainer", () => {
  const made = new Map<string, Buffer>();
  beforeAll(async () => {
    for (const [name, , args] of MADE) made.set(name, await ffmpeg(args));
  });

  it.each(MADE)("knows %s by its first bytes", (name, format) => {
    const bytes = made.get(name) ?? Buffer.alloc(0);
    for (const length of [1000, 4096, bytes.length]) expect(detectContainer(bytes.subarray(0, length))).toBe(format);
  });

  it("knows a plain MP4 file with its index at the beginning or at the end", () => {
    const ftyp = Buffer.from("000000186674797069736f6d0000020069736f6d61766331", "hex");
    const mvhd = Buffer.from("0000001c6d766864000000000000000000000000000003e800001388", "hex");
    const moov = Buffer.concat([Buffer.from("000010006d6f6f76", "hex"), mvhd]);
    expect(detectContainer(Buffer.concat([ftyp, moov]))).toBe("mp4");
    expect(detectContainer(Buffer.concat([ftyp, Buffer.from("0000000866726565100000006d646174", "hex")]))).toBe("mp4");
  });

  it.each([
    ["a segment of CMAF", "fmp4", Buffer.from("00000018737479706d73646800000000", "hex")],
    ["subtitles with a byte order mark", "webvtt", Buffer.from("\ufeffWEBVTT\n\n")],
    ["an error page", "html", Buffer.from("\n <!DOCTYPE html><html>")],
    ["an object store's error", "html", Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')],
    ["nothing", "unknown", Buffer.alloc(0)],
    ["plain text", "unknown", Buffer.from("Not found")],
  ] as const)("knows %s", (_name, format, bytes) => {
    expect(detectContainer(bytes)).toBe(format);
  });

  it("knows a transport stream after noise and does not take noise for one", () => {
    const ts = made.get("a transport stream") ?? Buffer.alloc(0);
    expect(detectContainer(Buffer.concat([Buffer.alloc(5000, 1), ts]))).toBe("mpegts");
    // Some servers put a picture before every segment.
    expect(detectContainer(Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(100), ts]))).toBe(
      "mpegts",
    );
    expect(detectContainer(Buffer.alloc(20_000, 1))).toBe("unknown");
  });
});
