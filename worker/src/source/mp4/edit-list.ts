import { type Box, findBox } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";

/** The effect of an edit list (ISO/IEC 14496-12, 8.6.6) on a track. */
export interface EditList {
  /** The time before the track begins, in the movie's time scale. */
  readonly emptyDuration: number;
  /** The media time that is shown first, in the track's time scale. */
  readonly mediaTime: number;
  /** The duration of the played media in the movie's time scale, or 0 if the media are played to their end. */
  readonly duration: number;
  /** True if the list cuts out a middle part, repeats a part or changes the speed. Only a decoder can apply it. */
  readonly complex: boolean;
}

const NO_EDITS: EditList = { emptyDuration: 0, mediaTime: 0, duration: 0, complex: false };
/** The most entries of an edit list. Editing programs write one for each cut. */
const MAX_EDITS = 10_000;
const NORMAL_RATE = 0x0001_0000;

/** Reads the edit list of a track. @throws Mp4Error if the list is malformed */
export function parseEditList(buffer: Buffer, trak: Box): EditList {
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
  let edits: EditList = NO_EDITS;
  let played = 0;
  for (let entry = 0; entry < count; entry += 1) {
    const at = elst.start + 8 + entry * entryBytes;
    const duration = long ? Number(buffer.readBigUInt64BE(at)) : buffer.readUInt32BE(at);
    const mediaTime = long ? Number(buffer.readBigInt64BE(at + 8)) : buffer.readInt32BE(at + 4);
    const normalRate = buffer.readUInt32BE(at + entryBytes - 4) === NORMAL_RATE;
    if (mediaTime === -1 && played === 0) {
      edits = { ...edits, emptyDuration: edits.emptyDuration + duration };
      continue;
    }
    if (mediaTime < -1) throw new Mp4Error("The edit list begins before the media.");
    const odd = played > 0 || !normalRate || mediaTime === -1;
    edits = {
      emptyDuration: edits.emptyDuration,
      mediaTime: played === 0 ? mediaTime : edits.mediaTime,
      // An edit without a length plays to the end, so later edits are never reached.
      duration: played > 0 && edits.duration === 0 ? 0 : edits.duration + duration,
      complex: edits.complex || odd,
    };
    played += 1;
  }
  return edits;
}
