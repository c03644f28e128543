import { documentKind, notHlsError } from "./document-kind.ts";
import { type MasterPlaylist, MasterPlaylistReader } from "./master-playlist.ts";
import { type MediaPlaylist, MediaPlaylistReader } from "./media-playlist.ts";
import { playlistLines, playlistText } from "./playlist-text.ts";
import { PlaylistVariables } from "./playlist-variables.ts";

/** Larger playlists are not read: a day in segments of two seconds with signed addresses takes about 10 MiB. */
export const MAX_PLAYLIST_BYTES = 16 * 1024 * 1024;

export type Playlist = MasterPlaylist | MediaPlaylist;

export interface ReadPlaylistOptions {
  readonly body: Buffer;
  /** Where it came from after redirects. */
  readonly url: string;
  readonly contentType?: string | undefined;
  /** Variables of the master playlist. */
  readonly imported?: ReadonlyMap<string, string> | undefined;
}

/**
 * Reads an HLS playlist (RFC 8216 and its successor draft) as players do: what is odd but can be played is read, what is
 * unknown is passed over. Takes linear time.
 *
 * @throws RoomcastError `SourceUnsupported` or `SourceNotMedia` where it is no HLS playlist, saying what it is
 */
export function readPlaylist(options: ReadPlaylistOptions): Playlist {
  const { body, url, contentType, imported } = options;
  if (documentKind(body, contentType) !== "hls") throw notHlsError(body, contentType);
  const text = playlistText(body);
  const reader = new MediaPlaylistReader(url, new PlaylistVariables(url, imported));
  for (const line of playlistLines(text)) {
    if (line.startsWith("#")) {
      const { name, value } = splitTag(line);
      // A playlist with a variant or a rendition is a master playlist, whatever else stands in it.
      if (MASTER_TAGS.has(name)) return readMaster(text, url, imported);
      reader.tag(name, value);
    } else {
      reader.address(line);
    }
  }
  return reader.finish();
}

const MASTER_TAGS = new Set(["EXT-X-STREAM-INF", "EXT-X-MEDIA"]);

function readMaster(text: string, url: string, imported?: ReadonlyMap<string, string>): MasterPlaylist {
  const reader = new MasterPlaylistReader(url, new PlaylistVariables(url, imported));
  for (const line of playlistLines(text)) {
    if (line.startsWith("#")) {
      const { name, value } = splitTag(line);
      reader.tag(name, value);
    } else {
      reader.address(line);
    }
  }
  return reader.finish();
}

/** Names of tags are in upper case; some packagers disagree. */
function splitTag(line: string): { name: string; value: string } {
  const colon = line.indexOf(":");
  if (colon === -1) return { name: line.slice(1).trim().toUpperCase(), value: "" };
  return { name: line.slice(1, colon).trim().toUpperCase(), value: line.slice(colon + 1) };
}
