import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { AmfEcmaArray, type AmfObject, type AmfValue, amfEntries, encodeAmf0 } from "../../rtmp/amf0.ts";
import { type RtmpMessage, readData } from "../../rtmp/message.ts";

const MAX_METADATA_NAME = 256;

/** Returns the code of an `onPlayStatus` message; null for any other message, and if there is no code. */
export function playStatusOf(message: RtmpMessage): string | null {
  const [handler, ...values] = readData(message) ?? [];
  const code = handler === "onPlayStatus" ? entriesIn(values)?.["code"] : null;
  return typeof code === "string" ? code : null;
}

/** Returns the readable part of an `onMetaData` message as a data tag in AMF0, or null for any other message. */
export function metadataTag(message: RtmpMessage): FlvTag | null {
  const [handler, ...values] = readData(message) ?? [];
  // Some servers pass on the publisher's `@setDataFrame` wrapping.
  const named = handler === "onMetaData" || (handler === "@setDataFrame" && values[0] === "onMetaData");
  const metadata = named ? entriesIn(values) : null;
  if (metadata === null) return null;
  // The metadata is encoded again, because the message may be AMF3 or have an unreadable end.
  const payload = encodeAmf0(["onMetaData", new AmfEcmaArray(plainEntries(metadata))]);
  return { kind: "data", timestampMs: 0, payload };
}

/** Returns the entries of the first object among the values, or null if there is no object. */
function entriesIn(values: readonly AmfValue[]) {
  for (const value of values) {
    const entries = amfEntries(value);
    if (entries !== null) return entries;
  }
  return null;
}

/** Keeps numbers, strings and booleans; no other metadata is used. */
function plainEntries(entries: AmfObject): AmfObject {
  const plain = Object.entries(entries).filter(
    ([name, value]) => name.length <= MAX_METADATA_NAME && ["number", "string", "boolean"].includes(typeof value),
  );
  return Object.fromEntries(plain);
}
