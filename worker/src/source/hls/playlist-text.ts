import { isUtf8 } from "node:buffer";

/**
 * Decodes a playlist. Playlists are UTF-8 (RFC 8216, section 4), but some are UTF-16. Bytes outside ASCII of any other
 * encoding are percent-encoded: they occur in addresses, and the server identifies a file by exactly these bytes.
 */
export function playlistText(body: Buffer): string {
  if (body.length >= 2 && body[0] === 0xff && body[1] === 0xfe) return body.toString("utf16le", 2);
  if (body.length >= 2 && body[0] === 0xfe && body[1] === 0xff) {
    return Buffer.from(body.subarray(0, body.length - (body.length % 2)))
      .swap16()
      .toString("utf16le", 2);
  }
  if (isUtf8(body)) return body.toString("utf8");
  return percentEncoded(body);
}

/** Writes byte by byte into a buffer, because replacing text takes many seconds if every byte must be encoded. */
function percentEncoded(body: Buffer): string {
  let high = 0;
  for (let at = 0; at < body.length; at += 1) high += (body[at] ?? 0) >> 7;
  const text = Buffer.allocUnsafe(body.length + 2 * high);
  let to = 0;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0;
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

/**
 * Yields the lines that are not blank, without blanks around them. Only LF, CR and CRLF end a line. Every other control
 * character is data, so that none of them can turn a part of a comment into an address.
 */
export function* playlistLines(text: string): Generator<string> {
  let from = 0;
  while (from < text.length) {
    let to = from;
    for (; to < text.length; to += 1) {
      const code = text.charCodeAt(to);
      if (code === LF || code === CR) break;
    }
    const line = withoutBlanks(text, from, to);
    if (line !== "") yield line;
    from = to + 1;
  }
}

const LF = 10;
const CR = 13;
const BLANKS = new Set([0x20, 0x09, 0xfeff]);

/** Trims blanks without a regular expression, which would take quadratic time for a line of blanks only. */
function withoutBlanks(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && BLANKS.has(text.charCodeAt(start))) start += 1;
  while (end > start && BLANKS.has(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
