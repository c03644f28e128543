import type { OutgoingMedia } from "@roomcast/worker/publisher";

const FILE_HEADER_BYTES = 9;
const TAG_HEADER_BYTES = 11;
const SIZE_BYTES = 4;
const AUDIO = 8;
const VIDEO = 9;

/** The audio and video tags of an FLV file (Adobe FLV 10.1, E.3 and E.4) that ffmpeg has made. Pure. */
export function readFlvTags(file: Buffer): OutgoingMedia[] {
  const tags: OutgoingMedia[] = [];
  let at = FILE_HEADER_BYTES + SIZE_BYTES;
  while (at + TAG_HEADER_BYTES <= file.length) {
    const type = file.readUInt8(at);
    const bytes = file.readUIntBE(at + 1, 3);
    // The fourth byte is the highest one.
    const timestampMs = file.readUIntBE(at + 4, 3) + file.readUInt8(at + 7) * 2 ** 24;
    const body = at + TAG_HEADER_BYTES;
    const payload = file.subarray(body, body + bytes);
    if (type === AUDIO || type === VIDEO) tags.push({ kind: type === VIDEO ? "video" : "audio", timestampMs, payload });
    at = body + bytes + SIZE_BYTES;
  }
  return tags;
}
