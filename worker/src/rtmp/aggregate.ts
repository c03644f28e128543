import { MESSAGE, type RtmpMessage } from "./message.ts";

const TAG_HEADER_BYTES = 11;
const BACK_POINTER_BYTES = 4;

/**
 * Returns the complete messages inside an aggregate (Adobe RTMP 1.0, section 7.1.6). Any other message is returned unchanged.
 * The payloads are views of the aggregate's payload.
 */
export function splitAggregate(message: RtmpMessage): readonly RtmpMessage[] {
  if (message.typeId !== MESSAGE.aggregate) return [message];
  const { payload } = message;
  const messages: RtmpMessage[] = [];
  let firstTimestamp: number | undefined;
  for (let at = 0; at + TAG_HEADER_BYTES <= payload.length; ) {
    const end = at + TAG_HEADER_BYTES + payload.readUIntBE(at + 1, 3);
    if (end > payload.length) break;
    const timestamp = (payload.readUIntBE(at + 4, 3) | (payload.readUInt8(at + 7) << 24)) >>> 0;
    firstTimestamp ??= timestamp;
    messages.push({
      ...message,
      typeId: payload.readUInt8(at),
      // The first message inside takes the aggregate's timestamp, and the later ones keep their distance from it.
      timestampMs: (message.timestampMs + timestamp - firstTimestamp) >>> 0,
      payload: payload.subarray(at + TAG_HEADER_BYTES, end),
    });
    at = end + BACK_POINTER_BYTES;
  }
  return messages;
}
