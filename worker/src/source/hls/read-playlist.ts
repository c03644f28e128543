import { setImmediate } from "node:timers/promises";
import { documentKind, notHlsError } from "./document-kind.ts";
import { type MasterPlaylist, MasterPlaylistReader } from "./master-playlist.ts";
import { type MediaPlaylist, MediaPlaylistReader } from "./media-playlist.ts";
import { playlistLines } from "./playlist-text.ts";
import { PlaylistVariables } from "./playlist-variables.ts";

/** The largest playlist that is read. A day in segments of two seconds with signed addresses takes about 10 MiB. */
export const MAX_PLAYLIST_BYTES = 16 * 1024 * 1024;

export type Playlist = MasterPlaylist | MediaPlaylist;

export interface ReadPlaylistOptions {
  readonly body: Buffer;
  /** The playlist's URL after redirects. */
  readonly url: string;
  readonly contentType?: string | undefined;
  /** Variables of the master playlist. */
  readonly imported?: ReadonlyMap<string, string> | undefined;
}

/** The number of characters that are read without a pause. This takes a few milliseconds. */
const SLICE_CHARACTERS = 64 * 1024;
/** The cost of a line in characters, added to its length because even a short line takes some time. */
const CHARACTERS_PER_LINE = 64;

/**
 * Reads an HLS playlist (RFC 8216 and its successor draft) as players do: it tolerates irregular lines and ignores
 * unknown ones. Reading takes linear time.
 *
 * @throws RoomcastError `SourceUnsupported` or `SourceNotMedia` if the document is not an HLS playlist; the message
 *   says what it is instead
 */
export function readPlaylist(options: ReadPlaylistOptions): Playlist {
  const reading = readInSlices(options);
  for (;;) {
    const slice = reading.next();
    if (slice.done === true) return slice.value;
  }
}

/**
 * Reads a playlist like `readPlaylist`, but pauses between slices. The largest playlist takes seconds, during which the
 * process must continue to serve its other streams.
 *
 * @throws as `readPlaylist`; the signal's reason if the signal aborts
 */
export async function readPlaylistInSlices(options: ReadPlaylistOptions, signal: AbortSignal): Promise<Playlist> {
  const reading = readInSlices(options);
  for (;;) {
    const slice = reading.next();
    if (slice.done === true) return slice.value;
    await setImmediate();
    signal.throwIfAborted();
  }
}

/** Reads a playlist in slices. Yields after each slice, and returns the playlist. */
function* readInSlices(options: ReadPlaylistOptions): Generator<void, Playlist> {
  const { body, url, contentType, imported } = options;
  if (documentKind(body, contentType) !== "hls") throw notHlsError(body, contentType);
  const media = new MediaPlaylistReader(url, new PlaylistVariables(url, imported));
  // A playlist with a variant or a rendition is a master playlist, whatever else it contains.
  const isMedia = yield* readLines(body, media, (name) => !MASTER_TAGS.has(name));
  if (isMedia) return media.finish(body.length);
  const master = new MasterPlaylistReader(url, new PlaylistVariables(url, imported));
  yield* readLines(body, master, () => true);
  return master.finish();
}

interface LineReader {
  tag(name: string, value: string): void;
  address(line: string): void;
}

/**
 * Passes the lines to the reader, and yields after each slice. @returns false if it stopped at a tag of the other kind
 * of playlist
 */
function* readLines(body: Buffer, reader: LineReader, isOfKind: (tag: string) => boolean): Generator<void, boolean> {
  let characters = 0;
  for (const line of playlistLines(body)) {
    characters += line.length + CHARACTERS_PER_LINE;
    if (characters >= SLICE_CHARACTERS) {
      characters = 0;
      yield;
    }
    if (line === "") continue;
    if (!line.startsWith("#")) {
      reader.address(line);
      continue;
    }
    const { name, value } = splitTag(line);
    if (!isOfKind(name)) return false;
    reader.tag(name, value);
  }
  return true;
}

const MASTER_TAGS = new Set(["EXT-X-STREAM-INF", "EXT-X-MEDIA"]);

/** Splits a tag into its name and value. Names should be in upper case, but some packagers write them otherwise. */
function splitTag(line: string): { name: string; value: string } {
  const colon = line.indexOf(":");
  if (colon === -1) return { name: line.slice(1).trim().toUpperCase(), value: "" };
  return { name: line.slice(1, colon).trim().toUpperCase(), value: line.slice(colon + 1) };
}
