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
 * Reads the body of an FLV tag of any codec. Of codecs that are not read here only keyframes and headers of the picture
 * are recognised.
 *
 * @returns null for a body that carries no media: empty, an end of sequence, a command frame
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

/** PacketType SequenceStart: in the low bits of an extended header, else in the second byte as for AVC. */
function isForeignHeader(payload: Buffer): boolean {
  const head = payload.readUInt8(0);
  if ((head & 0x70) !== 0x10) return false;
  if ((head & 0x80) !== 0) return (head & 0x0f) === 0;
  return (head & 0x0f) === 12 && payload.length > 1 && payload.readUInt8(1) === 0;
}
