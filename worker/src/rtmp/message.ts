import { type AmfValue, encodeAmf0, readableAmf0 } from "./amf0.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

/** Message type ids (Adobe RTMP 1.0, sections 5.4 and 7.1). */
export const MESSAGE = {
  setChunkSize: 1,
  abort: 2,
  acknowledgement: 3,
  userControl: 4,
  windowAckSize: 5,
  setPeerBandwidth: 6,
  audio: 8,
  video: 9,
  dataAmf3: 15,
  commandAmf3: 17,
  dataAmf0: 18,
  commandAmf0: 20,
  aggregate: 22,
} as const;

/** User control event types (section 7.1.7). */
export const USER_EVENT = {
  streamBegin: 0,
  streamEof: 1,
  streamDry: 2,
  setBufferLength: 3,
  streamIsRecorded: 4,
  pingRequest: 6,
  pingResponse: 7,
} as const;

/**
 * The chunk streams used for sending. The id 2 is reserved for protocol control (section 5.3.1.1); the other ids are
 * convention.
 */
export const CHUNK_STREAM = { control: 2, command: 3, audio: 4, data: 5, video: 6 } as const;

/** One RTMP message, sent or received. */
export interface RtmpMessage {
  readonly chunkStreamId: number;
  readonly typeId: number;
  /** 0 for messages about the connection. */
  readonly streamId: number;
  /** The timestamp, ms. On the wire and in received messages it is taken modulo 2^32. */
  readonly timestampMs: number;
  readonly payload: Buffer;
}

/** A command (section 7.2): its name, its transaction id and its values. The first value is the command object or null. */
export interface RtmpCommand {
  readonly name: string;
  readonly transactionId: number;
  readonly values: readonly AmfValue[];
}

export interface UserControlEvent {
  readonly event: number;
  /** The stream id (also for `setBufferLength`), or the timestamp of a ping. */
  readonly value: number;
}

/** @param sizeBytes from 1 to 2^31 - 1 (section 5.4.1) */
export function setChunkSize(sizeBytes: number): RtmpMessage {
  return control(MESSAGE.setChunkSize, uint32(sizeBytes));
}

/** Makes an Acknowledgement (section 5.4.3). The number of bytes wraps at 2^32. */
export function acknowledgement(receivedBytes: number): RtmpMessage {
  return control(MESSAGE.acknowledgement, uint32(receivedBytes));
}

/** Makes a Window Acknowledgement Size (section 5.4.4). */
export function windowAckSize(sizeBytes: number): RtmpMessage {
  return control(MESSAGE.windowAckSize, uint32(sizeBytes));
}

/** Makes a Set Peer Bandwidth (section 5.4.5) with the limit type "dynamic". */
export function setPeerBandwidth(sizeBytes: number): RtmpMessage {
  return control(MESSAGE.setPeerBandwidth, Buffer.concat([uint32(sizeBytes), Buffer.of(2)]));
}

/** Makes a user control message (section 7.1.7). */
export function userControl(event: number, ...values: readonly number[]): RtmpMessage {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(event);
  return control(MESSAGE.userControl, Buffer.concat([head, ...values.map(uint32)]));
}

/** Makes a command in AMF0 (section 7.1.1). */
export function commandMessage(streamId: number, command: RtmpCommand): RtmpMessage {
  return {
    chunkStreamId: CHUNK_STREAM.command,
    typeId: MESSAGE.commandAmf0,
    streamId,
    timestampMs: 0,
    payload: encodeAmf0([command.name, command.transactionId, ...command.values]),
  };
}

/** Makes a data message in AMF0 (section 7.1.2). The values begin with the name of a handler. */
export function dataMessage(streamId: number, values: readonly AmfValue[]): RtmpMessage {
  return {
    chunkStreamId: CHUNK_STREAM.data,
    typeId: MESSAGE.dataAmf0,
    streamId,
    timestampMs: 0,
    payload: encodeAmf0(values),
  };
}

/**
 * Reads a command message in AMF0, or the AMF0 that an "AMF3" command message contains after its first byte. Values after an
 * unreadable one are left out.
 *
 * @returns null for any other message, and for a command with an unreadable name
 */
export function readCommand(message: RtmpMessage): RtmpCommand | null {
  if (!isCommand(message)) return null;
  const [name, transactionId, ...values] = readableAmf0(amf0Of(message));
  if (typeof name !== "string") return null;
  return { name, transactionId: typeof transactionId === "number" ? transactionId : 0, values };
}

export function isCommand(message: RtmpMessage): boolean {
  return message.typeId === MESSAGE.commandAmf0 || message.typeId === MESSAGE.commandAmf3;
}

/**
 * Reads a data message: `[handler, ...values]`. Values after an unreadable one are left out.
 *
 * @returns null for any other message.
 */
export function readData(message: RtmpMessage): AmfValue[] | null {
  if (message.typeId !== MESSAGE.dataAmf0 && message.typeId !== MESSAGE.dataAmf3) return null;
  return readableAmf0(amf0Of(message));
}

/**
 * Returns the AMF0 part of a command or data message. An "AMF3" message has a byte in front, which is 0 if the message is in
 * AMF0. Some senders omit this byte. A 0 at the beginning is never a value itself: 0 is the marker of a number, and neither
 * kind of message begins with a number.
 */
function amf0Of({ typeId, payload }: RtmpMessage): Buffer {
  const amf3 = typeId === MESSAGE.commandAmf3 || typeId === MESSAGE.dataAmf3;
  return amf3 && payload[0] === 0 ? payload.subarray(1) : payload;
}

/** @returns null for an event without a value. All known events have one. */
export function readUserControl(message: RtmpMessage): UserControlEvent | null {
  if (message.payload.length < 6) return null;
  return { event: message.payload.readUInt16BE(0), value: message.payload.readUInt32BE(2) };
}

/** @throws RtmpProtocolError for a control message that is cut short. */
export function readControlNumber(message: RtmpMessage): number {
  if (message.payload.length < 4) throw new RtmpProtocolError("A control message is cut short.");
  return message.payload.readUInt32BE(0);
}

function control(typeId: number, payload: Buffer): RtmpMessage {
  return { chunkStreamId: CHUNK_STREAM.control, typeId, streamId: 0, timestampMs: 0, payload };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
