import { codecOfTagBody, parseTagBody } from "../../media/flv/flv-tag.ts";
import type { MediaTag } from "../../media/media-tag.ts";

/** A tag of any codec from a feed. */
export interface FedTag extends MediaTag {
  /** ffmpeg's codec name; absent for H.264 and AAC. The payload is the body of an FLV tag for every codec. */
  readonly foreignCodec?: string;
  /** True for a keyframe at which decoding can begin but which is not an IDR picture, so that rooms cannot begin with it. */
  readonly openGop?: boolean;
}

export function codecOf(tag: FedTag): string {
  return tag.foreignCodec ?? (tag.kind === "video" ? "h264" : "aac");
}

/**
 * Reads the body of an FLV tag of any codec. For codecs that this process does not read, only video keyframes and video
 * headers are recognised.
 *
 * @returns null for a body without media: an empty one, an end of sequence, or a command frame
 */
export function fedTag(kind: "audio" | "video", dtsMs: number, payload: Buffer): FedTag | null {
  const media = parseTagBody(kind, dtsMs, payload);
  if (media !== null) return media;
  const codec = codecOfTagBody(kind, payload) ?? "unknown";
  if (payload.length === 0 || codec === "h264" || codec === "aac") return null;
  const sequenceHeader = kind === "video" && isForeignHeader(payload);
  const keyframe = kind === "audio" || (!sequenceHeader && (payload.readUInt8(0) & 0x70) === 0x10);
  return { kind, dtsMs, compositionMs: 0, keyframe, sequenceHeader, payload, foreignCodec: codec };
}

/**
 * Returns true if the PacketType is SequenceStart. An extended header has it in its low bits; the AVC form has it in
 * the second byte.
 */
function isForeignHeader(payload: Buffer): boolean {
  const head = payload.readUInt8(0);
  if ((head & 0x70) !== 0x10) return false;
  if ((head & 0x80) !== 0) return (head & 0x0f) === 0;
  return (head & 0x0f) === 12 && payload.length > 1 && payload.readUInt8(1) === 0;
}
