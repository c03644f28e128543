import { setImmediate as othersTurn } from "node:timers/promises";
import { documentKind, notHlsError } from "./document-kind.ts";
import { type MasterPlaylist, MasterPlaylistReader } from "./master-playlist.ts";
import { type MediaPlaylist, MediaPlaylistReader } from "./media-playlist.ts";
import { playlistLines, playlistText } from "./playlist-text.ts";
import { PlaylistVariables } from "./playlist-variables.ts";

/** Larger playlists are not read: a day in segments of two seconds with signed addresses takes about 10 MiB. */
export const MAX_PLAYLIST_BYTES = 16 * 1024 * 1024;

/** Addresses and tags have some hundred characters, with signatures some thousand. Longer lines are passed over. */
const MAX_LINE_CHARACTERS = 64 * 1024;

export type Playlist = MasterPlaylist | MediaPlaylist;

export interface ReadPlaylistOptions {
  readonly body: Buffer;
  /** Where it came from after redirects. */
  readonly url: string;
  readonly contentType?: string | undefined;
  /** Variables of the master playlist. */
  readonly imported?: ReadonlyMap<string, string> | undefined;
}

/** How many characters are read before everything else of the process has its turn: some milliseconds of work. */
const TURN_CHARACTERS = 64 * 1024;

/**
 * Reads an HLS playlist (RFC 8216 and its successor draft) as players do: what is odd but can be played is read, what is
 * unknown is passed over. Takes linear time.
 *
 * @throws RoomcastError `SourceUnsupported` or `SourceNotMedia` where it is no HLS playlist, saying what it is
 */
export function readPlaylist(options: ReadPlaylistOptions): Playlist {
  const reading = readInTurns(options);
  for (;;) {
    const turn = reading.next();
    if (turn.done === true) return turn.value;
  }
}

/**
 * The same, without keeping the process from its other streams: a playlist of the largest size is seconds of work.
 *
 * @throws RoomcastError likewise; the signal's reason when it is aborted
 */
export async function readPlaylistInTurns(options: ReadPlaylistOptions, signal: AbortSignal): Promise<Playlist> {
  const reading = readInTurns(options);
  for (;;) {
    const turn = reading.next();
    if (turn.done === true) return turn.value;
    await othersTurn();
    signal.throwIfAborted();
  }
}

function* readInTurns(options: ReadPlaylistOptions): Generator<void, Playlist> {
  const { body, url, contentType, imported } = options;
  if (documentKind(body, contentType) !== "hls") throw notHlsError(body, contentType);
  const text = playlistText(body);
  const media = new MediaPlaylistReader(url, new PlaylistVariables(url, imported));
  // A playlist with a variant or a rendition is a master playlist, whatever else stands in it.
  const isMedia = yield* readLines(text, media, (name) => !MASTER_TAGS.has(name));
  if (isMedia) return media.finish();
  const master = new MasterPlaylistReader(url, new PlaylistVariables(url, imported));
  yield* readLines(text, master, () => true);
  return master.finish();
}

interface LineReader {
  tag(name: string, value: string): void;
  address(line: string): void;
}

/** @returns false: it was ended by a tag that is none of this kind of playlist */
function* readLines(text: string, reader: LineReader, isOfKind: (tag: string) => boolean): Generator<void, boolean> {
  let characters = 0;
  for (const line of playlistLines(text)) {
    characters += line.length + 1;
    if (characters >= TURN_CHARACTERS) {
      characters = 0;
      yield;
    }
    if (line.length > MAX_LINE_CHARACTERS) continue;
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

/** Names of tags are in upper case; some packagers disagree. */
function splitTag(line: string): { name: string; value: string } {
  const colon = line.indexOf(":");
  if (colon === -1) return { name: line.slice(1).trim().toUpperCase(), value: "" };
  return { name: line.slice(1, colon).trim().toUpperCase(), value: line.slice(colon + 1) };
}
