import { RoomcastError } from "@roomcast/shared";

/** Kinds of content that are not playable media, each with the error code and the advice to the user. */
const KINDS = {
  webPage: ["SourceNotMedia", "a web page (text/html), not a media file: give the address of the file itself"],
  dash: [
    "SourceUnsupported",
    "a DASH manifest, which Roomcast cannot play: give the HLS playlist or the media file itself",
  ],
  smooth: [
    "SourceUnsupported",
    "a Smooth Streaming manifest, which Roomcast cannot play: give the HLS playlist or the media file",
  ],
  xml: ["SourceNotMedia", "an XML document, not a media file: give the address of the file itself"],
  json: ["SourceNotMedia", "a JSON document, not a media file: give the address of the file itself"],
  zip: ["SourceNotMedia", "a ZIP archive: unpack it and give the address of the media file"],
  archive: ["SourceNotMedia", "an archive such as RAR, 7z or gzip: unpack it and give the address of the media file"],
  pdf: ["SourceNotMedia", "a PDF document, not a media file: give the address of a video or audio file"],
  picture: ["SourceNotMedia", "a still picture, not a video: give the address of a video or audio file"],
  torrent: ["SourceUnsupported", "a torrent, which Roomcast cannot play: give the address of the media file itself"],
  playlist: ["SourceUnsupported", "a playlist file, such as PLS or ASX: give an address that it lists"],
} as const;

const TYPES: Readonly<Record<string, keyof typeof KINDS>> = {
  "text/html": "webPage",
  "application/xhtml+xml": "webPage",
  "application/dash+xml": "dash",
  "application/vnd.ms-sstr+xml": "smooth",
  "application/json": "json",
  "application/zip": "zip",
  "application/x-rar-compressed": "archive",
  "application/vnd.rar": "archive",
  "application/x-7z-compressed": "archive",
  "application/pdf": "pdf",
  "application/x-bittorrent": "torrent",
  "audio/x-scpls": "playlist",
  "video/x-ms-asx": "playlist",
};

/** Magic numbers, as latin1, with their offsets. */
const BEGINNINGS: readonly (readonly [start: string, kind: keyof typeof KINDS, at?: number])[] = [
  ["PK\x03\x04", "zip"],
  ["PK\x05\x06", "zip"],
  ["Rar!\x1a\x07", "archive"],
  ["7z\xbc\xaf\x27\x1c", "archive"],
  ["\x1f\x8b\x08", "archive"],
  ["BZh", "archive"],
  ["\xfd7zXZ\0", "archive"],
  ["%PDF-", "pdf"],
  ["\xff\xd8\xff", "picture"],
  ["\x89PNG\r\n\x1a\n", "picture"],
  ["GIF87a", "picture"],
  ["GIF89a", "picture"],
  ["WEBPVP8", "picture", 8],
  ["II*\0", "picture"],
  ["MM\0*", "picture"],
  ["d8:announce", "torrent"],
  ["d7:comment", "torrent"],
  ["d10:created by", "torrent"],
  ["d4:info", "torrent"],
  ["[playlist]", "playlist"],
];

/** Patterns for the beginning of a text document, each with its kind. */
const TEXTS: readonly (readonly [RegExp, keyof typeof KINDS])[] = [
  [/^<(?:!doctype\s+html|html|head|body|script|div)\b/i, "webPage"],
  [/^<(?:\w+:)?MPD\b/, "dash"],
  [/^<SmoothStreamingMedia\b/, "smooth"],
  [/^<asx\b/i, "playlist"],
  [/^<\/?[A-Za-z]/, "xml"],
  [/^[{[]\s*["{[}]/, "json"],
];

/**
 * Returns the error of a source whose first bytes show that it is not media, or undefined if they do not show that.
 * Pure.
 *
 * @param start the first few hundred bytes, or the whole source if it is shorter
 */
export function foreignContent(start: Buffer): RoomcastError | undefined {
  const text = start.toString("latin1");
  const magic = BEGINNINGS.find(([beginning, , at = 0]) => text.startsWith(beginning, at));
  if (magic !== undefined) return refusal(magic[1]);
  // A byte order mark, an XML declaration, comments and processing instructions (such as xml-stylesheet) may precede
  // the first tag.
  const body = text.replace(/^\xef\xbb\xbf/, "").replace(/^(?:\s+|<\?[^>]*\?>|<!--[^]*?-->)*/, "");
  const document = TEXTS.find(([pattern]) => pattern.test(body));
  return document === undefined ? undefined : refusal(document[1]);
}

/**
 * Returns the error for a content type in lower case, or undefined if it may be media. Servers often send wrong types,
 * so this is only for sources that could not be played. Pure.
 */
export function foreignContentType(type: string | undefined): RoomcastError | undefined {
  const kind = type?.startsWith("image/") === true ? "picture" : TYPES[type ?? ""];
  return kind === undefined ? undefined : refusal(kind);
}

function refusal(kind: keyof typeof KINDS): RoomcastError {
  const [code, what] = KINDS[kind];
  return new RoomcastError(`FailedOperation.${code}`, `The source is ${what}.`);
}
