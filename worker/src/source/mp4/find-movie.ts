import { RoomcastError } from "@roomcast/shared";
import { foreignContent } from "../foreign-content.ts";
import { shownType } from "./box.ts";
import { Mp4Error } from "./mp4-error.ts";
import type { RangeStream } from "./range-stream.ts";

/**
 * The largest index that is read. The index of a file of 24 hours has about 50 MB, so a larger one is an attack or a
 * mistake.
 */
const MAX_MOOV_BYTES = 64 * 1024 * 1024;
/** The memory that is allocated before the bytes of an index have arrived. */
const FIRST_ALLOCATION_BYTES = 1024 * 1024;
const MAX_TOP_LEVEL_BOXES = 256;
/** The number of first bytes that distinguish a web page or an archive from a media file. */
const SNIFFED_BYTES = 1024;

export interface FoundMovie {
  /** The body of the movie box. */
  readonly moov: Buffer;
  /** The first byte after the box, or null if the media are before it. */
  readonly mediaByte: number | null;
}

interface TopLevelBox {
  readonly type: string;
  readonly bodyBytes: number;
  /** The first byte after the box. */
  readonly end: number;
}

/**
 * Finds the body of the movie box. The stream must be at byte 0. Afterwards the stream is at the end of the movie box,
 * or at the media data if they come before that box, ready to continue. An index after the media is fetched with a
 * second request.
 *
 * @throws Mp4Error if the file is not an MP4 file, or one that this demuxer does not play
 * @throws RoomcastError `SourceTruncated` if the file ends before its index; `SourceUnsupported` if the index cannot be
 *   reached; `SourceNotMedia` for a web page or another document; or the error of the connection
 */
export async function findMovie(stream: RangeStream): Promise<FoundMovie> {
  const start = Buffer.alloc(SNIFFED_BYTES);
  await stream.readInto(start.subarray(0, 8));
  if (start.toString("latin1", 4, 8) !== "ftyp") {
    await stream.readInto(start.subarray(8));
    throw foreignContent(start) ?? new Mp4Error("The file is not an MP4 file.");
  }
  await skipBox(stream, { type: "ftyp", bodyBytes: start.readUInt32BE(0) - 8, end: start.readUInt32BE(0) });
  for (let count = 0; count < MAX_TOP_LEVEL_BOXES; count += 1) {
    const box = await nextBox(stream);
    if (box.type === "moov") return { moov: await readBody(stream, box), mediaByte: box.end };
    if (box.type === "mdat") return { moov: await findMovieBehind(stream, box), mediaByte: null };
    await skipBox(stream, box);
  }
  throw new Mp4Error("The file has too many boxes before its index.");
}

async function findMovieBehind(head: RangeStream, mdat: TopLevelBox): Promise<Buffer> {
  if (!head.seekable) {
    const why = "The MP4 file has its index at the end, and its server cannot send parts of a file (HTTP ranges)";
    const cure =
      "move the index to the front (ffmpeg -i in.mp4 -c copy -movflags +faststart out.mp4) or use another server";
    throw new RoomcastError("FailedOperation.SourceUnsupported", `${why}: ${cure}.`);
  }
  checkInside(head, mdat);
  const tail = head.fork(mdat.end);
  try {
    for (let count = 0; count < MAX_TOP_LEVEL_BOXES; count += 1) {
      const box = await nextBox(tail);
      if (box.type === "moov") return await readBody(tail, box);
      await skipBox(tail, box);
    }
    throw new Mp4Error("The file has too many boxes before its index.");
  } finally {
    await tail.close();
  }
}

async function nextBox(stream: RangeStream): Promise<TopLevelBox> {
  const box = await readHeader(stream);
  if (box === undefined) throw truncated("it ends before its index (the box moov)");
  if (box.type === "moof") throw new Mp4Error("The file is fragmented.");
  return box;
}

async function readHeader(stream: RangeStream): Promise<TopLevelBox | undefined> {
  const start = stream.position;
  const header = Buffer.allocUnsafe(8);
  if (!(await stream.readInto(header))) return undefined;
  const type = header.toString("latin1", 4, 8);
  let size = header.readUInt32BE(0);
  if (size === 1) {
    const long = Buffer.allocUnsafe(8);
    if (!(await stream.readInto(long))) return undefined;
    size = Number(long.readBigUInt64BE(0));
  } else if (size === 0) {
    throw new Mp4Error(`The box ${shownType(type)} has no size.`);
  }
  const bodyBytes = start + size - stream.position;
  if (bodyBytes < 0 || !Number.isSafeInteger(start + size)) {
    throw new Mp4Error(`The box ${shownType(type)} has a wrong size.`);
  }
  return { type, bodyBytes, end: start + size };
}

async function skipBox(stream: RangeStream, box: TopLevelBox): Promise<void> {
  checkInside(stream, box);
  await stream.seek(box.end);
}

function checkInside({ totalBytes }: RangeStream, box: TopLevelBox): void {
  if (totalBytes !== null && box.end > totalBytes) {
    throw truncated(`its box ${shownType(box.type)} should end at byte ${box.end}, but the file ends at ${totalBytes}`);
  }
}

async function readBody(stream: RangeStream, box: TopLevelBox): Promise<Buffer> {
  if (box.bodyBytes > MAX_MOOV_BYTES) throw new Mp4Error("The file's index is too large.");
  checkInside(stream, box);
  // A wrong size must not cost memory, so the buffer grows with the bytes that arrive.
  let body = Buffer.allocUnsafeSlow(Math.min(box.bodyBytes, FIRST_ALLOCATION_BYTES));
  let filled = 0;
  for (;;) {
    if (!(await stream.readInto(body, filled))) throw truncated("it ends inside its index (the box moov)");
    filled = body.length;
    if (filled === box.bodyBytes) return body;
    const larger = Buffer.allocUnsafeSlow(Math.min(box.bodyBytes, filled * 4));
    body.copy(larger);
    body = larger;
  }
}

function truncated(how: string): RoomcastError {
  return new RoomcastError("FailedOperation.SourceTruncated", `The source is cut short: ${how}. Upload it again.`);
}
