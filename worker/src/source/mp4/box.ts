import { Mp4Error } from "./mp4-error.ts";

/** A box inside a buffer (ISO/IEC 14496-12, 4.2). Positions are offsets in the buffer. */
export interface Box {
  readonly type: string;
  /** The first byte after the header. */
  readonly start: number;
  /** The first byte after the box. */
  readonly end: number;
}

/**
 * The most boxes on one level. Real files have a few dozen. The limit bounds the time and memory for an index of empty
 * boxes.
 */
const MAX_BOXES_ON_A_LEVEL = 1024;

/**
 * Lists the boxes between two positions.
 *
 * @throws Mp4Error if a box does not fit, or if there are too many
 */
export function listBoxes(buffer: Buffer, start: number, end: number): Box[] {
  const boxes: Box[] = [];
  let position = start;
  // QuickTime ends some lists with four zero bytes.
  while (end - position >= 8) {
    const type = buffer.toString("latin1", position + 4, position + 8);
    let size = buffer.readUInt32BE(position);
    let header = 8;
    if (size === 1 && end - position >= 16) {
      size = Number(buffer.readBigUInt64BE(position + 8));
      header = 16;
    } else if (size === 0) {
      size = end - position;
    }
    if (boxes.length === MAX_BOXES_ON_A_LEVEL) throw new Mp4Error("The file's index has too many boxes.");
    if (size < header || size > end - position) throw new Mp4Error(`The box ${shownType(type)} has a wrong size.`);
    boxes.push({ type, start: position + header, end: position + size });
    position += size;
  }
  return boxes;
}

/** Returns the first box of a type inside another one, or undefined if there is none. */
export function findBox(buffer: Buffer, parent: Box, type: string): Box | undefined {
  return listBoxes(buffer, parent.start, parent.end).find((box) => box.type === type);
}

/**
 * Returns the first box of a type inside another one.
 *
 * @throws Mp4Error if there is no such box, or if its body is shorter than `minBytes`
 */
export function needBox(buffer: Buffer, parent: Box, type: string, minBytes = 0): Box {
  const box = findBox(buffer, parent, type);
  if (box === undefined) throw new Mp4Error(`The box ${type} is missing.`);
  if (box.end - box.start < minBytes) throw new Mp4Error(`The box ${type} is too short.`);
  return box;
}

/** Returns a four-character code with unprintable characters replaced. */
export function shownType(type: string): string {
  return type.replace(/[^\x20-\x7e]/g, "?");
}
