import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

/**
 * A value of AMF0 (Adobe AMF 0, section 2). Objects have no prototype, so that a key such as `__proto__` from a peer has no
 * effect.
 */
export type AmfValue =
  | number
  | boolean
  | string
  | null
  | undefined
  | Date
  | AmfEcmaArray
  | AmfObject
  | readonly AmfValue[];

export interface AmfObject {
  readonly [key: string]: AmfValue;
}

/** An associative array (section 2.10), which is an object with another marker. The values of `onMetaData` are sent as one. */
export class AmfEcmaArray {
  readonly entries: AmfObject;

  constructor(entries: AmfObject) {
    this.entries = entries;
  }
}

/** Type markers (section 2.1). */
const MARKER = {
  number: 0x00,
  boolean: 0x01,
  string: 0x02,
  object: 0x03,
  null: 0x05,
  undefined: 0x06,
  reference: 0x07,
  ecmaArray: 0x08,
  objectEnd: 0x09,
  strictArray: 0x0a,
  date: 0x0b,
  longString: 0x0c,
  unsupported: 0x0d,
  xmlDocument: 0x0f,
  typedObject: 0x10,
} as const;

const MAX_DEPTH = 16;
/**
 * The largest number of values in a message. Metadata have a few dozen. The keyframe lists in the metadata of recordings are
 * longer, but are not needed.
 */
const MAX_VALUES = 10_000;
const MAX_SHORT_STRING_BYTES = 0xffff;

/** Returns the keys and values of an object or an associative array, or null for every other value. */
export function amfEntries(value: AmfValue): AmfObject | null {
  if (value instanceof AmfEcmaArray) return value.entries;
  if (typeof value !== "object" || value === null || value instanceof Date || Array.isArray(value)) return null;
  // SAFETY: the cases above cover all other types of AmfValue; `isArray` does not narrow readonly arrays away.
  return value as AmfObject;
}

/**
 * Reads values until the bytes end.
 *
 * @throws RtmpProtocolError for bytes that are cut short, nested over 16 levels, of more than 10,000 values, or of a
 *   type that RTMP does not use (AMF3).
 */
export function decodeAmf0(bytes: Buffer): AmfValue[] {
  const { values, error } = new AmfReader(bytes).values();
  if (error !== null) throw error;
  return values;
}

/**
 * Reads values as far as possible. If the last value is an object that is cut short or unreadable, its entries before that
 * point are returned. AMF0 values have no length field, so nothing after a value of unknown type can be read.
 */
export function readableAmf0(bytes: Buffer): AmfValue[] {
  return new AmfReader(bytes).values().values;
}

class AmfReader {
  readonly #bytes: Buffer;
  #offset = 0;
  #count = 0;
  /** The outermost object that contains the incomplete value. */
  #broken: AmfValue | null = null;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  values(): { readonly values: AmfValue[]; readonly error: RtmpProtocolError | null } {
    const values: AmfValue[] = [];
    try {
      while (this.#offset < this.#bytes.length) values.push(this.#value(0));
      return { values, error: null };
    } catch (error) {
      if (!(error instanceof RtmpProtocolError)) throw error;
      if (this.#broken !== null) values.push(this.#broken);
      return { values, error };
    }
  }

  #value(depth: number): AmfValue {
    if (depth > MAX_DEPTH) throw new RtmpProtocolError("An AMF0 value is nested too deeply.");
    this.#count += 1;
    if (this.#count > MAX_VALUES) throw new RtmpProtocolError("An AMF0 message has too many values.");
    const marker = this.#bytes.readUInt8(this.#take(1));
    switch (marker) {
      case MARKER.number:
        return this.#bytes.readDoubleBE(this.#take(8));
      case MARKER.boolean:
        return this.#bytes.readUInt8(this.#take(1)) !== 0;
      case MARKER.string:
        return this.#text(this.#uint16());
      case MARKER.object:
        return this.#object(depth);
      case MARKER.null:
        return null;
      case MARKER.undefined:
      case MARKER.unsupported:
        return undefined;
      case MARKER.reference:
        // A reference to an earlier object of the same message (section 2.9) is not resolved, because no value that is used
        // here is sent as a reference.
        this.#take(2);
        return undefined;
      case MARKER.ecmaArray:
        // The count is only a hint (section 2.10); the end marker decides.
        this.#take(4);
        return new AmfEcmaArray(this.#object(depth));
      case MARKER.strictArray:
        return this.#strictArray(depth);
      case MARKER.date: {
        const date = new Date(this.#bytes.readDoubleBE(this.#take(8)));
        // The time zone that follows is reserved (section 2.13).
        this.#take(2);
        return date;
      }
      case MARKER.longString:
      case MARKER.xmlDocument:
        return this.#text(this.#uint32());
      case MARKER.typedObject:
        this.#text(this.#uint16());
        return this.#object(depth);
      default:
        throw new RtmpProtocolError(`AMF0 type ${marker} is not one that RTMP uses.`);
    }
  }

  #object(depth: number): AmfObject {
    // SAFETY: this is a new object, which is filled below with AmfValues only.
    const object = Object.create(null) as Record<string, AmfValue>;
    try {
      for (;;) {
        const key = this.#text(this.#uint16());
        if (key === "" && this.#bytes[this.#offset] === MARKER.objectEnd) {
          this.#take(1);
          return object;
        }
        object[key] = this.#value(depth + 1);
      }
    } catch (error) {
      if (depth === 0) this.#broken = object;
      throw error;
    }
  }

  #strictArray(depth: number): AmfValue[] {
    const count = this.#uint32();
    const values: AmfValue[] = [];
    // Nothing is allocated for `count`, which the peer may have made up. Each value takes at least one byte, so the loop ends
    // with the bytes.
    for (let index = 0; index < count; index += 1) values.push(this.#value(depth + 1));
    return values;
  }

  #text(length: number): string {
    const start = this.#take(length);
    return this.#bytes.toString("utf8", start, start + length);
  }

  #uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  #uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw new RtmpProtocolError("An AMF0 value is cut short.");
    this.#offset = start + length;
    return start;
  }
}

/** Encodes values one after another. Strings of more than 65,535 bytes become long strings. */
export function encodeAmf0(values: readonly AmfValue[]): Buffer {
  const parts: Buffer[] = [];
  for (const value of values) encodeValue(value, parts);
  return Buffer.concat(parts);
}

function encodeValue(value: AmfValue, parts: Buffer[]): void {
  if (value === null) parts.push(Buffer.of(MARKER.null));
  else if (value === undefined) parts.push(Buffer.of(MARKER.undefined));
  else if (typeof value === "number") parts.push(markedDouble(MARKER.number, value));
  else if (typeof value === "boolean") parts.push(Buffer.of(MARKER.boolean, value ? 1 : 0));
  else if (typeof value === "string") encodeText(value, parts);
  else if (value instanceof Date) parts.push(markedDouble(MARKER.date, value.getTime()), Buffer.alloc(2));
  else if (Array.isArray(value)) {
    parts.push(markedCount(MARKER.strictArray, value.length));
    for (const item of value) encodeValue(item, parts);
  } else if (value instanceof AmfEcmaArray) {
    parts.push(markedCount(MARKER.ecmaArray, Object.keys(value.entries).length));
    encodeEntries(value.entries, parts);
  } else {
    parts.push(Buffer.of(MARKER.object));
    encodeEntries(amfEntries(value) ?? {}, parts);
  }
}

function encodeText(text: string, parts: Buffer[]): void {
  const bytes = Buffer.from(text);
  if (bytes.length > MAX_SHORT_STRING_BYTES) {
    parts.push(markedCount(MARKER.longString, bytes.length), bytes);
  } else {
    parts.push(Buffer.of(MARKER.string, bytes.length >> 8, bytes.length & 0xff), bytes);
  }
}

function encodeEntries(entries: AmfObject, parts: Buffer[]): void {
  for (const [key, value] of Object.entries(entries)) {
    const name = Buffer.from(key);
    if (name.length > MAX_SHORT_STRING_BYTES) throw new RtmpProtocolError("A key is too long for AMF0.");
    parts.push(Buffer.of(name.length >> 8, name.length & 0xff), name);
    encodeValue(value, parts);
  }
  parts.push(Buffer.of(0, 0, MARKER.objectEnd));
}

function markedDouble(marker: number, value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(marker);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function markedCount(marker: number, count: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(marker);
  bytes.writeUInt32BE(count, 1);
  return bytes;
}
