import {
  CLOSE,
  decodeFrame,
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
  RoomcastError,
  type WorkerFrame,
  workerFrameSchema,
} from "@roomcast/shared";
import { z } from "zod";

/** A hello of any protocol version, even if the edge cannot read other frames of that version. */
const anyHello = z.object({ type: z.literal("hello"), protocol: z.int() });

export type ReadFrame =
  | { readonly kind: "frame"; readonly frame: WorkerFrame }
  /** The socket must be closed with this code and reason. */
  | { readonly kind: "refused"; readonly code: number; readonly reason: string };

/**
 * Reads a message from a worker's socket. A message is parsed a second time, as a hello of an unknown version, only if
 * it cannot be read as a frame: nearly all messages are reports, which must cost little. Pure; never throws.
 */
export function readFrame(data: string | ArrayBuffer): ReadFrame {
  try {
    const frame = decodeFrame(workerFrameSchema, data);
    return frame.type === "hello" && !isSpoken(frame.protocol)
      ? protocolMismatch(frame.protocol)
      : { kind: "frame", frame };
  } catch (thrown) {
    const protocol = protocolOfHello(data);
    if (protocol !== undefined && !isSpoken(protocol)) return protocolMismatch(protocol);
    return { kind: "refused", code: CLOSE.malformedFrame, reason: RoomcastError.from(thrown).message };
  }
}

/** Returns the protocol version of a hello that cannot be read otherwise; undefined if the message is not a hello. */
function protocolOfHello(data: string | ArrayBuffer): number | undefined {
  try {
    return decodeFrame(anyHello, data).protocol;
  } catch {
    return undefined;
  }
}

function protocolMismatch(protocol: number): ReadFrame {
  const spoken = `${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}`;
  const reason = `This edge speaks protocols ${spoken}, the worker ${protocol}.`;
  return { kind: "refused", code: CLOSE.protocolMismatch, reason };
}

function isSpoken(protocol: number): boolean {
  return protocol >= OLDEST_PROTOCOL_VERSION && protocol <= PROTOCOL_VERSION;
}
