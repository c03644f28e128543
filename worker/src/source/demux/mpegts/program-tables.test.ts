import { describe, expect, it } from "vitest";
import { demux } from "../demux.test-support.ts";
import type { DemuxerOptions } from "../demuxer.ts";
import { packets, pat, pes, pmt, sections, type WrittenStream } from "./program.test-support.ts";
import { TsDemuxer } from "./ts-demuxer.ts";

const PICTURE: WrittenStream = { pid: 256, type: 0x1b };
const SOUND: WrittenStream = { pid: 257, type: 0x0f };
const NULL_PACKET = packets(0x1fff, Buffer.alloc(184));

function announced(...pieces: readonly Buffer[]) {
  const bytes = Buffer.concat([...pieces, ...Array<Buffer>(4).fill(NULL_PACKET)]);
  return demux((options: DemuxerOptions) => new TsDemuxer(options), [bytes]).announced;
}

const program = (...streams: WrittenStream[]) =>
  [sections(0, pat([[1, 4096]])), sections(4096, pmt(1, streams))] as const;
const text = (tag: number, body: string) => [tag, body] as const;

describe("ProgramTables", () => {
  it.each<[string, WrittenStream, object]>([
    ["H.264", PICTURE, { kind: "video", codec: "h264" }],
    ["HEVC", { pid: 256, type: 0x24 }, { kind: "video", codec: "hevc" }],
    ["MPEG-2 video", { pid: 256, type: 2 }, { kind: "video", codec: "mpeg2video" }],
    ["MPEG audio", { pid: 256, type: 3 }, { kind: "audio", codec: "mp3" }],
    ["AAC in LATM", { pid: 256, type: 0x11 }, { kind: "audio", codec: "aac_latm" }],
    ["AC-3 of ATSC", { pid: 256, type: 0x81 }, { kind: "audio", codec: "ac3" }],
    ["AC-3 of DVB", { pid: 256, type: 6, descriptors: [text(0x6a, "\0")] }, { kind: "audio", codec: "ac3" }],
    ["E-AC-3 of DVB", { pid: 256, type: 6, descriptors: [text(0x7a, "\0")] }, { kind: "audio", codec: "eac3" }],
    ["Opus", { pid: 256, type: 6, descriptors: [text(5, "Opus")] }, { kind: "audio", codec: "opus" }],
    ["HEVC by registration", { pid: 256, type: 6, descriptors: [text(5, "HEVC")] }, { kind: "video", codec: "hevc" }],
    ["encrypted H.264", { pid: 256, type: 0xdb }, { kind: "video", codec: "h264", encryption: "SAMPLE-AES" }],
    ["encrypted AAC", { pid: 256, type: 0xcf }, { kind: "audio", codec: "aac", encryption: "SAMPLE-AES" }],
    ["encrypted AC-3", { pid: 256, type: 0xc1 }, { kind: "audio", codec: "ac3", encryption: "SAMPLE-AES" }],
    ["encrypted E-AC-3", { pid: 256, type: 0xc2 }, { kind: "audio", codec: "eac3", encryption: "SAMPLE-AES" }],
    ["a language", { ...SOUND, descriptors: [text(0x0a, "DEU\0")] }, { codec: "aac", language: "deu" }],
    ["an unsaid language", { ...SOUND, descriptors: [text(0x0a, "und\0")] }, { codec: "aac", language: undefined }],
  ])("name %s", (_name, stream, track) => {
    const all = announced(...program(stream));
    expect(all).toMatchObject([[track]]);
  });

  it("does not count subtitles and timed metadata as media", () => {
    const id3 = { pid: 258, type: 0x15, descriptors: [text(0x26, "ID3 ")] };
    const teletext = { pid: 259, type: 6, descriptors: [text(0x56, "\0")] };
    const kinds = announced(...program(SOUND, id3, teletext))[0]?.map(({ kind }) => kind);
    expect(kinds).toEqual(["audio", "other", "other"]);
  });

  it("announces the tracks of the first program with media", () => {
    const all = announced(
      sections(
        0,
        pat([
          [0, 16],
          [1, 4096],
          [2, 4097],
          [3, 4098],
        ]),
      ),
      sections(4096, pmt(1, [{ pid: 300, type: 0x15 }])),
      sections(4097, pmt(2, [PICTURE])),
      sections(4098, pmt(3, [SOUND])),
    );
    expect(all.map((tracks) => tracks.map(({ id }) => id))).toEqual([[256]]);
  });

  it("reads a table of programs in several sections and maps that share a PID", () => {
    const all = announced(
      sections(0, pat([[1, 4096]], 0, [0, 1]), pat([[2, 4096]], 0, [1, 1])),
      sections(4096, pmt(1, [{ pid: 300, type: 0x15 }]), pmt(2, [PICTURE, SOUND])),
    );
    expect(all.map((tracks) => tracks.map(({ id }) => id))).toEqual([[256, 257]]);
  });

  it("reads a map that is longer than a packet", () => {
    const languages = Array.from({ length: 40 }, (_, index) => ({
      ...SOUND,
      pid: 300 + index,
      descriptors: [text(0x0a, "eng\0")],
    }));
    expect(announced(...program(PICTURE, ...languages))[0]).toHaveLength(41);
  });

  it("announces tracks again only when the map or its PID changes them", () => {
    const [table, map] = program(PICTURE, SOUND);
    const all = announced(
      table,
      map,
      table,
      map,
      sections(4096, pmt(1, [PICTURE, { ...SOUND, pid: 400 }], 1)),
      sections(0, pat([[1, 5000]], 1)),
      sections(5000, pmt(1, [{ ...PICTURE, pid: 500 }], 2)),
    );
    expect(all.map((tracks) => tracks.map(({ id }) => id))).toEqual([[256, 257], [256, 400], [500]]);
  });

  it("keeps the tracks when a damaged map comes", () => {
    const [table, map] = program(PICTURE, SOUND);
    const broken = Buffer.from(map);
    broken.writeUInt8(0x24, 4 + 1 + 12);
    expect(announced(table, map, broken)).toHaveLength(1);
  });

  it("reads tables of a muxer that writes no checksums", () => {
    const [table, map] = program(PICTURE, SOUND);
    const unsummed = Buffer.from(map);
    unsummed.fill(0, 4 + 1 + 22, 4 + 1 + 26);
    expect(announced(table, unsummed)).toHaveLength(1);
  });

  it("reports tracks as scrambled when their packets are", () => {
    const scrambled = packets(257, pes(0xc0, Buffer.alloc(2000, 0x5a), 0), 0, { scrambled: true });
    const all = announced(...program(PICTURE, SOUND), scrambled);
    expect(all.at(-1)).toMatchObject([{ codec: "h264" }, { codec: "aac", encryption: "transport scrambling" }]);
  });
});
