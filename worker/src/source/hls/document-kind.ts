import { RoomcastError } from "@roomcast/shared";
import { playlistLines } from "./playlist-text.ts";

/**
 * The kind of a document that may be a playlist, recognised by its beginning: `hls` is an HLS playlist, `list` a list
 * of media files or channels (M3U, PLS, XSPF, ASX), `dash` and `smooth` are manifests of other streaming formats, and
 * `html` is a web page. null means any other document, which may be media.
 */
export type DocumentKind = "hls" | "list" | "dash" | "smooth" | "html" | null;

const HEAD_BYTES = 64 * 1024;
const HEAD_LINES = 200;
/** The number of lines at the beginning among which `#EXTM3U` is looked for. */
const MAGIC_LINES = 20;

const M3U8_TYPES = new Set([
  "application/vnd.apple.mpegurl",
  "application/x-mpegurl",
  "application/mpegurl",
  "audio/mpegurl",
  "audio/x-mpegurl",
]);

/**
 * Recognises the kind of a document.
 *
 * @param body the document or its first bytes
 */
export function documentKind(body: Buffer, contentType?: string): DocumentKind {
  const head = body.subarray(0, HEAD_BYTES);
  if (!looksLikeText(head)) return null;
  const lines = firstLines(head);
  const first = lines[0] ?? "";
  if (first.startsWith("<")) return markupKind(lines.join("\n"));
  if (/^\[playlist\]/i.test(first)) return "list";
  const magicAt = lines.slice(0, MAGIC_LINES).findIndex((line) => /^#EXTM3U/i.test(line));
  const tagged = lines.some((line) => /^#EXT-X-/i.test(line));
  if (magicAt === -1 && !(first.startsWith("#") && tagged)) {
    const addresses = lines.filter((line) => !line.startsWith("#"));
    const allAddresses = addresses.length > 0 && addresses.every((line) => /^https?:\/\/\S+$/i.test(line));
    const announced = contentType !== undefined && M3U8_TYPES.has(contentType) && !head.includes(0);
    return allAddresses || (announced && addresses.length > 0) ? "list" : null;
  }
  return tagged || !isFileList(lines) ? "hls" : "list";
}

/** Makes the error for a document that should be an HLS playlist and is something else, which the message names. */
export function notHlsError(body: Buffer, contentType?: string): RoomcastError {
  const kind = documentKind(body, contentType);
  switch (kind) {
    case "dash":
      return unsupported(
        "The source is an MPEG-DASH manifest (MPD), which is not supported: give the HLS address instead.",
      );
    case "smooth":
      return unsupported(
        "The source is a Smooth Streaming manifest, which is not supported: give the HLS address instead.",
      );
    case "list":
      return unsupported(
        "The source is a list of media files or channels (M3U, PLS, XSPF or ASX), not an HLS stream: give the address of one of its entries.",
      );
    case "html":
      return notMedia("The source is a web page, not media: give the address of the stream itself.");
    default:
      return notMedia(
        body.length === 0
          ? "The HLS playlist is empty."
          : "The source is not an HLS playlist, although another playlist or its media type says so.",
      );
  }
}

/**
 * Returns true if the bytes look like text: they begin with a UTF-16 byte order mark, or with a printable ASCII
 * character after optional white space.
 */
function looksLikeText(head: Buffer): boolean {
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (utf16) return true;
  let start = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
  while (start < head.length && BLANK_BYTES.has(head[start] ?? 0)) start += 1;
  const first = head[start];
  return first !== undefined && first >= 0x20 && first < 0x7f;
}

const BLANK_BYTES = new Set([0x20, 0x09, 0x0a, 0x0d]);

function firstLines(head: Buffer): string[] {
  const lines: string[] = [];
  for (const line of playlistLines(head)) {
    if (line !== "") lines.push(line);
    if (lines.length >= HEAD_LINES) break;
  }
  return lines;
}

function markupKind(head: string): DocumentKind {
  if (/<MPD[\s>]/.test(head)) return "dash";
  if (/<SmoothStreamingMedia[\s>]/.test(head)) return "smooth";
  if (/xspf\.org|<(?:asx|playlist|smil)[\s>]/i.test(head)) return "list";
  if (/<!doctype html|<(?:html|head|body|script|title|meta)[\s>]/i.test(head)) return "html";
  return null;
}

/** Returns true for a list of songs or channels, and false for an HLS playlist that has no EXT-X tag. */
function isFileList(lines: readonly string[]): boolean {
  const addresses = lines.filter((line) => !line.startsWith("#"));
  const infos = lines.filter((line) => /^#EXTINF:/i.test(line));
  if (infos.length === 0) return true;
  if (infos.some((line) => /^#EXTINF:\s*(?:-\d|0\s*,\s*\S|-?\d+\s+[\w-]+=)/i.test(line))) return true;
  return (
    addresses.length > 0 &&
    addresses.every((line) =>
      /\.(?:mp3|ogg|oga|opus|flac|wav|wma|m4a|mp4|m4v|mkv|webm|avi|mov|wmv|flv|m3u8?|pls)(?:[?#]|$)/i.test(line),
    )
  );
}

function unsupported(message: string): RoomcastError {
  return new RoomcastError("FailedOperation.SourceUnsupported", message);
}

function notMedia(message: string): RoomcastError {
  return new RoomcastError("FailedOperation.SourceNotMedia", message);
}
