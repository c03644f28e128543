import { readContentRange } from "./range-answer.ts";

/** The first part of a `multipart/byteranges` response. */
export interface MultipartPart {
  readonly from: number;
  readonly to: number;
  readonly totalBytes: number | null;
  /** The bytes of the part, followed by the boundary and whatever comes after it. */
  readonly chunks: AsyncIterator<Buffer>;
}

const MAX_HEAD_BYTES = 16 * 1024;

/**
 * Reads the head of the first part (RFC 9110, section 14.6). The response to a request for one range has one part.
 *
 * @returns null if there is no part, or if the part's head does not say which bytes the part holds
 */
export async function openMultipart(chunks: AsyncIterator<Buffer>): Promise<MultipartPart | null> {
  let seen = Buffer.alloc(0);
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    seen = Buffer.concat([seen, next.value]);
    const end = /content-range[^]*?\r?\n\r?\n/i.exec(seen.toString("latin1", 0, MAX_HEAD_BYTES));
    if (end !== null) {
      const range = readContentRange(/^content-range:([^\r\n]*)/i.exec(end[0])?.[1] ?? "");
      return range === null ? null : { ...range, chunks: after(seen.subarray(end.index + end[0].length), chunks) };
    }
    if (seen.length >= MAX_HEAD_BYTES) break;
  }
  return null;
}

async function* after(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, undefined> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
