import { type Box, findBox } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";

/** The one kind of edit list that is handled: wait, then play the media from a point near its start to its end. */
export interface EditStart {
  /** Before the track begins, in the movie's time scale. */
  readonly emptyDuration: number;
  /** The media time that is shown first, in the track's time scale. */
  readonly mediaTime: number;
  /** How long the media plays, in the movie's time scale; 0: to its end. */
  readonly duration: number;
}

const NO_EDITS: EditStart = { emptyDuration: 0, mediaTime: 0, duration: 0 };
const MAX_EDITS = 16;
const NORMAL_RATE = 0x0001_0000;

/**
 * ISO/IEC 14496-12, 8.6.6.
 *
 * @throws Mp4Error for cuts, repeats and changes of speed.
 */
export function parseEditList(buffer: Buffer, trak: Box): EditStart {
  const edts = findBox(buffer, trak, "edts");
  const elst = edts === undefined ? undefined : findBox(buffer, edts, "elst");
  if (elst === undefined) return NO_EDITS;
  if (elst.end - elst.start < 8) throw new Mp4Error("The edit list is too short.");
  const long = buffer.readUInt8(elst.start) === 1;
  const entryBytes = long ? 20 : 12;
  const count = buffer.readUInt32BE(elst.start + 4);
  if (count > MAX_EDITS || count > (elst.end - elst.start - 8) / entryBytes) {
    throw new Mp4Error("The edit list has too many entries.");
  }
  let emptyDuration = 0;
  for (let entry = 0; entry < count; entry += 1) {
    const at = elst.start + 8 + entry * entryBytes;
    const duration = long ? Number(buffer.readBigUInt64BE(at)) : buffer.readUInt32BE(at);
    const mediaTime = long ? Number(buffer.readBigInt64BE(at + 8)) : buffer.readInt32BE(at + 4);
    if (mediaTime === -1) {
      emptyDuration += duration;
      continue;
    }
    const normalRate = buffer.readUInt32BE(at + entryBytes - 4) === NORMAL_RATE;
    if (entry !== count - 1 || mediaTime < 0 || !normalRate) {
      throw new Mp4Error("The edit list cuts, repeats or changes the speed.");
    }
    return { emptyDuration, mediaTime, duration };
  }
  return { emptyDuration, mediaTime: 0, duration: 0 };
}
