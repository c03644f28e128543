import {
  CLOSE,
  decodeFrame,
  PROTOCOL_VERSION,
  RoomcastError,
  type WorkerFrame,
  workerFrameSchema,
} from "@roomcast/shared";
import { z } from "zod";

/** A hello of any protocol version, also of one whose frames we could not read. */
const anyHello = z.object({ type: z.literal("hello"), protocol: z.int() });

export type ReadFrame =
  | { readonly kind: "frame"; readonly frame: WorkerFrame }
  /** The socket must be closed with this code and reason. */
  | { readonly kind: "refused"; readonly code: number; readonly reason: string };

/** Reads what came over a worker's socket. Pure; never throws. */
export function readFrame(data: string | ArrayBuffer): ReadFrame {
  try {
    const hello = anyHello.safeParse(decodeFrame(z.unknown(), data));
    if (hello.success && hello.data.protocol !== PROTOCOL_VERSION) {
      const reason = `This edge speaks protocol ${PROTOCOL_VERSION}, the worker ${hello.data.protocol}.`;
      return { kind: "refused", code: CLOSE.protocolMismatch, reason };
    }
    return { kind: "frame", frame: decodeFrame(workerFrameSchema, data) };
  } catch (thrown) {
    return { kind: "refused", code: CLOSE.malformedFrame, reason: RoomcastError.from(thrown).message };
  }
}
