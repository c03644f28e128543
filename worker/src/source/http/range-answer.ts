/** What is asked of a resource: bytes from `start` on, to `end` inclusive where it is given. */
export interface AskedRange {
  readonly start: number;
  readonly end: number | undefined;
  /** Whether the request named the range (`Range: bytes=…`). */
  readonly named: boolean;
}

export interface AnswerHead {
  readonly status: number;
  /** The first value of a header. */
  readonly header: (name: string) => string | undefined;
}

export type RangeAnswer =
  /** The body begins at byte `from` and ends before byte `to`; null: where it ends is not said. */
  | {
      readonly name: "bytes";
      readonly from: number;
      readonly to: number | null;
      readonly totalBytes: number | null;
      readonly seekable: boolean;
    }
  /** The body says in parts what they hold (`multipart/byteranges`, RFC 9110, section 14.6). */
  | { readonly name: "multipart" }
  /** There is nothing at `start` or behind it. */
  | { readonly name: "end"; readonly totalBytes: number | null }
  /** The server refuses requests with a range; without one it may answer. */
  | { readonly name: "no-ranges" }
  | { readonly name: "refused" };

/** Statuses that servers have given to a request for its `Range` header alone. */
const REFUSES_RANGES = new Set([400, 405, 406, 412, 416, 501]);

/** Understands an answer to a request for a part, usual or odd. Pure. */
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
  // A range from the first byte on is the whole file, and some servers answer so. A later one was ignored.
  const seekable = /\bbytes\b/i.test(header("accept-ranges") ?? "") && !(asked.named && asked.start > 0);
  return { name: "bytes", from: 0, to: totalBytes, totalBytes, seekable };
}

/** Reads `bytes 0-99/1000`, also with another or no unit, and `=` or `:` behind it; null where it cannot be read. */
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
  // A part without Content-Range is the one that was asked for; an open one goes to the end.
  const to = length === null ? null : asked.start + length;
  const totalBytes = asked.end === undefined ? to : null;
  return { name: "bytes", from: asked.start, to, totalBytes, seekable: true };
}

function numberOf(digits: string | undefined): number | null {
  return digits !== undefined && /^\s*\d{1,15}\s*$/.test(digits) ? Number(digits) : null;
}
