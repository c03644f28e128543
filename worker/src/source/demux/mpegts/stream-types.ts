import type { DemuxedTrack } from "../demuxer.ts";

type Codec = Pick<DemuxedTrack, "kind" | "codec" | "encryption">;

const video = (codec: string): Codec => ({ kind: "video", codec });
const audio = (codec: string): Codec => ({ kind: "audio", codec });
const other = (codec: string): Codec => ({ kind: "other", codec });
const sampleAes = (codec: Codec): Codec => ({ ...codec, encryption: "SAMPLE-AES" });

/**
 * Codecs by stream_type (ISO/IEC 13818-1, table 2-34; ATSC A/53; HDMV; Apple, MPEG-2 Stream Encryption Format for HLS).
 */
const STREAM_TYPES: Readonly<Record<number, Codec>> = {
  0x01: video("mpeg1video"),
  0x02: video("mpeg2video"),
  // MPEG audio of layer II or III.
  0x03: audio("mp3"),
  0x04: audio("mp3"),
  0x0f: audio("aac"),
  0x10: video("mpeg4"),
  0x11: audio("aac_latm"),
  0x15: other("timed_id3"),
  0x1b: video("h264"),
  0x21: video("jpeg2000"),
  0x24: video("hevc"),
  0x33: video("vvc"),
  0x42: video("cavs"),
  0x81: audio("ac3"),
  0x82: audio("dts"),
  0x83: audio("truehd"),
  0x84: audio("eac3"),
  0x85: audio("dts"),
  0x86: other("scte_35"),
  0x87: audio("eac3"),
  0x8a: audio("dts"),
  0x90: other("hdmv_pgs_subtitle"),
  0xc1: sampleAes(audio("ac3")),
  0xc2: sampleAes(audio("eac3")),
  0xcf: sampleAes(audio("aac")),
  0xd1: video("dirac"),
  0xd2: video("avs2"),
  0xd4: video("avs3"),
  0xdb: sampleAes(video("h264")),
  0xea: video("vc1"),
};

/** Codecs by the format_identifier of a registration descriptor, for private stream types. */
const REGISTRATIONS: Readonly<Record<string, Codec>> = {
  "AC-3": audio("ac3"),
  EAC3: audio("eac3"),
  "AC-4": audio("ac4"),
  DTS1: audio("dts"),
  DTS2: audio("dts"),
  DTS3: audio("dts"),
  Opus: audio("opus"),
  BSSD: audio("s302m"),
  HEVC: video("hevc"),
  AV01: video("av1"),
  "VC-1": video("vc1"),
  drac: video("dirac"),
  "ID3 ": other("timed_id3"),
  CUEI: other("scte_35"),
  KLVA: other("klv"),
};

/** Codecs by the descriptor of DVB (ETSI EN 300 468, table 12) that names the codec of a private stream. */
const DESCRIPTORS: Readonly<Record<number, Codec>> = {
  0x56: other("dvb_teletext"),
  0x59: other("dvb_subtitle"),
  0x6a: audio("ac3"),
  0x7a: audio("eac3"),
  0x7b: audio("dts"),
  0x7c: audio("aac_latm"),
};

const TAG_REGISTRATION = 0x05;
const TAG_LANGUAGE = 0x0a;
const PRIVATE_DATA = 0x06;
const UNKNOWN: Codec = { kind: "other", codec: "unknown" };

/** Reads one entry of a program map; its descriptors lie between two positions. Pure. */
export function trackOfStream(
  pid: number,
  streamType: number,
  bytes: Buffer,
  start: number,
  end: number,
): DemuxedTrack {
  let known = streamType === PRIVATE_DATA ? undefined : STREAM_TYPES[streamType];
  let language: string | undefined;
  for (let at = start; at + 2 <= end; ) {
    const tag = bytes[at] ?? 0;
    const body = at + 2;
    const bodyEnd = body + (bytes[at + 1] ?? 0);
    if (bodyEnd > end) break;
    if (tag === TAG_REGISTRATION && bodyEnd - body >= 4) {
      known ??= REGISTRATIONS[bytes.toString("latin1", body, body + 4)];
    }
    if (tag === TAG_LANGUAGE && bodyEnd - body >= 3) language = languageOf(bytes.toString("latin1", body, body + 3));
    if (streamType === PRIVATE_DATA) known ??= DESCRIPTORS[tag];
    at = bodyEnd;
  }
  return { id: pid, ...(known ?? UNKNOWN), language };
}

/** Returns a language if it has the three letters of ISO 639-2 and is not `und`. */
function languageOf(code: string): string | undefined {
  const lower = code.toLowerCase();
  return /^[a-z]{3}$/.test(lower) && lower !== "und" ? lower : undefined;
}
