import type { MediaTag } from "../media-tag.ts";

/** ffmpeg's codec names by the CodecID in VideoTagHeader (Adobe FLV 10.1, E.4.3.1). Chinese CDNs use 12 for HEVC. */
const VIDEO_CODECS: Readonly<Record<number, string>> = {
  2: "flv1",
  3: "flashsv",
  4: "vp6f",
  5: "vp6a",
  6: "flashsv2",
  7: "h264",
  12: "hevc",
};

/** ffmpeg's codec names by the SoundFormat in AudioTagHeader (E.4.2.1). */
const AUDIO_CODECS: Readonly<Record<number, string>> = {
  0: "pcm_s16le",
  1: "adpcm_swf",
  2: "mp3",
  3: "pcm_s16le",
  4: "nellymoser",
  5: "nellymoser",
  6: "nellymoser",
  7: "pcm_alaw",
  8: "pcm_mulaw",
  10: "aac",
  11: "speex",
  14: "mp3",
};

/** ffmpeg's codec names by the FourCC in an extended header (Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio"). */
const FOURCC_CODECS: Readonly<Record<string, string>> = {
  avc1: "h264",
  hvc1: "hevc",
  vvc1: "vvc",
  av01: "av1",
  vp08: "vp8",
  vp09: "vp9",
  mp4a: "aac",
  Opus: "opus",
  "ac-3": "ac3",
  "ec-3": "eac3",
  fLaC: "flac",
  ".mp3": "mp3",
};

const AVC = 7;
const AAC = 10;
const EXTENDED_VIDEO_FLAG = 0x80;
const EXTENDED_AUDIO = 9;
const FRAME_TYPE_KEY = 1;
/** The frame type "video info / command frame", after which no picture follows. */
const FRAME_TYPE_COMMAND = 5;

/** AVCPacketType (E.4.3.1) and AACPacketType (E.4.2.1) have the same first two values. */
const PACKET_SEQUENCE_HEADER = 0;
const PACKET_MEDIA = 1;

/**
 * Reads the header of an FLV tag's data, which is also the payload of an RTMP audio or video message. The payload is not
 * copied.
 *
 * @param timestampMs the decode time in ms, on whichever clock the caller uses
 * @returns null for a body without H.264 or AAC: one of another codec (see {@link codecOfTagBody}), an end of sequence, a
 * command frame, or a body that is cut short
 */
export function parseTagBody(kind: "audio" | "video", timestampMs: number, payload: Buffer): MediaTag | null {
  return kind === "video" ? parseVideo(timestampMs, payload) : parseAudio(timestampMs, payload);
}

function parseVideo(timestampMs: number, payload: Buffer): MediaTag | null {
  if (payload.length <= 5) return null;
  const head = payload.readUInt8(0);
  if ((head & EXTENDED_VIDEO_FLAG) !== 0 || (head & 0x0f) !== AVC) return null;
  const frameType = head >> 4;
  const packetType = payload.readUInt8(1);
  if (frameType === FRAME_TYPE_COMMAND || packetType > PACKET_MEDIA) return null;
  const sequenceHeader = packetType === PACKET_SEQUENCE_HEADER;
  return {
    kind: "video",
    dtsMs: timestampMs,
    // CompositionTime is a signed 24-bit number. It is taken as 0 for a sequence header, which is not a picture.
    compositionMs: sequenceHeader ? 0 : payload.readIntBE(2, 3),
    keyframe: frameType === FRAME_TYPE_KEY && !sequenceHeader,
    sequenceHeader,
    payload,
  };
}

function parseAudio(timestampMs: number, payload: Buffer): MediaTag | null {
  if (payload.length <= 2) return null;
  const packetType = payload.readUInt8(1);
  if (payload.readUInt8(0) >> 4 !== AAC || packetType > PACKET_MEDIA) return null;
  return {
    kind: "audio",
    dtsMs: timestampMs,
    compositionMs: 0,
    keyframe: true,
    sequenceHeader: packetType === PACKET_SEQUENCE_HEADER,
    payload,
  };
}

/** Returns ffmpeg's name of the codec that a tag body carries; null if the body is empty or the codec is not known. */
export function codecOfTagBody(kind: "audio" | "video", payload: Buffer): string | null {
  if (payload.length === 0) return null;
  const head = payload.readUInt8(0);
  const extended = kind === "video" ? (head & EXTENDED_VIDEO_FLAG) !== 0 : head >> 4 === EXTENDED_AUDIO;
  if (extended) return FOURCC_CODECS[payload.toString("latin1", 1, 5)] ?? null;
  return (kind === "video" ? VIDEO_CODECS[head & 0x0f] : AUDIO_CODECS[head >> 4]) ?? null;
}

/** Returns the offset of the data after VideoTagHeader or AudioTagHeader in an H.264 or AAC tag body. */
export function tagDataOffset(kind: "audio" | "video"): number {
  return kind === "video" ? 5 : 2;
}
