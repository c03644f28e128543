import { isUtf8 } from "node:buffer";

/**
 * The most bytes of a line; longer lines are ignored. Addresses and tags usually have a few hundred characters, or a
 * few thousand with signatures.
 */
const MAX_LINE_BYTES = 64 * 1024;

/**
 * Yields the lines of a playlist, trimmed of spaces, tabs and byte order marks. An empty string means an empty line, or
 * a part of a line that is ignored because it is too long. Only LF, CR and CRLF end a line. Every other control
 * character is kept as data, so that it cannot turn a part of a comment into an address.
 *
 * Playlists should be UTF-8 (RFC 8216, section 4), but some are UTF-16. In a document of any other encoding, bytes
 * outside ASCII are percent-encoded, because they occur in addresses and the server identifies a file by exactly these
 * bytes. Lines are decoded one by one, so that no step takes long, and so that a line that the caller keeps does not
 * keep the whole document in memory.
 */
export function* playlistLines(body: Buffer): Generator<string> {
  const bytes = withoutUtf16(body);
  const decode = isUtf8(bytes) ? utf8 : percentEncoded;
  let isContinued = false;
  for (let from = 0; from < bytes.length; ) {
    const most = Math.min(bytes.length, from + MAX_LINE_BYTES);
    let to = from;
    while (to < most && !isLineEnd(bytes[to])) to += 1;
    const isWhole = to === bytes.length || isLineEnd(bytes[to]);
    yield isWhole && !isContinued ? withoutBlanks(decode(bytes.subarray(from, to))) : "";
    isContinued = !isWhole;
    from = isWhole ? to + 1 : to;
  }
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === LF || byte === CR;
}

function withoutUtf16(body: Buffer): Buffer {
  if (body[0] === 0xff && body[1] === 0xfe) return Buffer.from(body.toString("utf16le", 2));
  if (body[0] !== 0xfe || body[1] !== 0xff) return body;
  const whole = body.subarray(0, body.length - (body.length % 2));
  return Buffer.from(Buffer.from(whole).swap16().toString("utf16le", 2));
}

function utf8(line: Buffer): string {
  return line.toString("utf8");
}

/**
 * Percent-encodes the bytes outside ASCII. The result is written byte by byte into a buffer, because replacing parts of
 * a string takes many seconds if every byte must be encoded.
 */
function percentEncoded(line: Buffer): string {
  let high = 0;
  for (let at = 0; at < line.length; at += 1) high += (line[at] ?? 0) >> 7;
  const text = Buffer.allocUnsafe(line.length + 2 * high);
  let to = 0;
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at] ?? 0;
    if (byte < 0x80) {
      text[to] = byte;
      to += 1;
    } else {
      text[to] = PERCENT;
      text[to + 1] = HEX_DIGITS.charCodeAt(byte >> 4);
      text[to + 2] = HEX_DIGITS.charCodeAt(byte & 15);
      to += 3;
    }
  }
  return text.toString("latin1");
}

const PERCENT = 0x25;
const HEX_DIGITS = "0123456789ABCDEF";

const LF = 10;
const CR = 13;
const BLANKS = new Set([0x20, 0x09, 0xfeff]);

/**
 * Trims spaces, tabs and byte order marks from both ends. A regular expression would take quadratic time for a line
 * that consists of spaces.
 */
function withoutBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.has(text.charCodeAt(start))) start += 1;
  while (end > start && BLANKS.has(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
