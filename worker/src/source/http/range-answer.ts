/**
 * The bytes that are requested from a resource: from `start` to `end` inclusive, or to its end if `end` is undefined.
 */
export interface AskedRange {
  readonly start: number;
  readonly end: number | undefined;
  /** True if the request named the range (`Range: bytes=…`). */
  readonly named: boolean;
}

export interface AnswerHead {
  readonly status: number;
  /** Returns the first value of a header. */
  readonly header: (name: string) => string | undefined;
}

export type RangeAnswer =
  /** The body begins at byte `from` and ends before byte `to`, which is null if the response does not say. */
  | {
      readonly name: "bytes";
      readonly from: number;
      readonly to: number | null;
      readonly totalBytes: number | null;
      readonly seekable: boolean;
    }
  /** The body consists of parts that each name their range (`multipart/byteranges`, RFC 9110, section 14.6). */
  | { readonly name: "multipart" }
  /** The resource ends at or before `start`. */
  | { readonly name: "end"; readonly totalBytes: number | null }
  /** The server refuses requests with a range, and may answer a request without one. */
  | { readonly name: "no-ranges" }
  | { readonly name: "refused" };

/** Statuses with which some servers refuse a request only because it has a `Range` header. */
const REFUSES_RANGES = new Set([400, 405, 406, 412, 416, 501]);

/** Interprets the response to a request for a part of a resource, even if the response is irregular. Pure. */
export function readRangeAnswer({ status, header }: AnswerHead, asked: AskedRange): RangeAnswer {
  const contentRange = header("content-range") ?? "";
  if (status === 206) {
    if (/^multipart\/byteranges\b/i.test(header("content-type") ?? "")) return { name: "multipart" };
    return partOf(contentRange, numberOf(header("content-length")), asked);
  }
  if (status === 416 && asked.named) {
    const totalBytes = numberOf(/\/\s*(\d+)\s*$/.exec(contentRange)?.[1]);
    if (totalBytes === null ? asked.start > 0 : asked.start >= totalBytes) return { name: "end", totalBytes };
  }
  if (asked.named && REFUSES_RANGES.has(status)) return { name: "no-ranges" };
  if (status < 200 || status >= 300) return { name: "refused" };
  const totalBytes = numberOf(header("content-length"));
  // A server may answer a request for a range that begins at byte 0 with status 200 and the whole file. If it does so
  // for a later range, it has ignored that range.
  const seekable = /\bbytes\b/i.test(header("accept-ranges") ?? "") && !(asked.named && asked.start > 0);
  return { name: "bytes", from: 0, to: totalBytes, totalBytes, seekable };
}

/**
 * Parses a `Content-Range` such as `bytes 0-99/1000`, also with another unit or none, and with `=` or `:` after the
 * unit. Returns null if the value cannot be parsed.
 */
export function readContentRange(
  text: string,
): { readonly from: number; readonly to: number; readonly totalBytes: number | null } | null {
  const match = /^\s*(?:[a-z]{1,16}\s*[=:]?\s*)?(\d{1,15})\s*-\s*(\d{1,15})\s*\/\s*(\d{1,15}|\*)\s*$/i.exec(text);
  if (match === null) return null;
  const [from, last] = [Number(match[1]), Number(match[2])];
  return last < from ? null : { from, to: last + 1, totalBytes: numberOf(match[3]) };
}

function partOf(contentRange: string, length: number | null, asked: AskedRange): RangeAnswer {
  const said = readContentRange(contentRange);
  if (said !== null) return { name: "bytes", ...said, seekable: true };
  // A part without Content-Range is taken for the one that was requested. A request without an end asks for the rest of
  // the resource, so the end of the part is the size of the resource.
  const to = length === null ? null : asked.start + length;
  const totalBytes = asked.end === undefined ? to : null;
  return { name: "bytes", from: asked.start, to, totalBytes, seekable: true };
}

function numberOf(digits: string | undefined): number | null {
  return digits !== undefined && /^\s*\d{1,15}\s*$/.test(digits) ? Number(digits) : null;
}
