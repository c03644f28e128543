import { createCipheriv } from "node:crypto";
import type { Clip, ClipOptions, ClipShelf } from "./clip-shelf.test-support.ts";
import { CLIP } from "./clip-shelf.test-support.ts";
import { type ComposedServer, type Manners, TOKEN } from "./composed-server.test-support.ts";
import type { Composition, HlsShape, Piece } from "./composition.test-support.ts";

const KEY = Buffer.from("0123456789abcdef");
const IV = Buffer.from("fedcba9876543210");
const HLS_TYPE = "application/vnd.apple.mpegurl";
const PAGE = "<!doctype html><html><head><title>Please log in</title></head><body>Welcome</body></html>";
const MANIFEST =
  '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period id="0"/></MPD>\n';

/** Publishes the source of a composition on a server. @returns the address to open */
export async function publish(composition: Composition, shelf: ClipShelf, server: ComposedServer): Promise<string> {
  const { seed, name, trouble, hls } = composition;
  const folder = `/${seed}`;
  const path = `${folder}/${name}`;
  const manners: Manners = trouble === "403" ? { ...composition, token: true } : composition;
  if (trouble === "a web page instead") server.serve(path, PAGE, manners, "text/html");
  else if (trouble === "a DASH manifest instead") server.serve(path, MANIFEST, manners, "application/dash+xml");
  else if (hls !== null) await publishHls({ composition, hls, folder, path, manners, shelf, server });
  else if (trouble !== "404") {
    const clip = await shelf.clip(composition);
    const [body = Buffer.alloc(0)] = clip.files;
    server.serve(path, trouble === "cut short" ? body.subarray(0, Math.floor(body.length * 0.6)) : body, manners);
  }
  const url = server.entry(path, manners);
  return trouble === "403" ? url.replace(/\?.*/, "?sig=old") : url;
}

interface HlsPublication {
  readonly composition: Composition;
  readonly hls: HlsShape;
  readonly folder: string;
  readonly path: string;
  readonly manners: Manners;
  readonly shelf: ClipShelf;
  readonly server: ComposedServer;
}

async function publishHls(publication: HlsPublication): Promise<void> {
  const { composition, hls, folder, path, manners, server } = publication;
  const { trouble, video, audio } = composition;
  if (trouble === "404") return;
  const key = encryptedKey(hls);
  if (key !== undefined && trouble !== "key is gone") server.serve(`${folder}/key`, KEY, manners);
  const apart = hls.soundApart && video !== null;
  const main = await mediaPlaylist(publication, { name: "main", video, audio: apart ? null : audio });
  if (!hls.master && !apart) {
    server.serve(path, main, manners, HLS_TYPE);
    return;
  }
  const query = manners.token ? `?${TOKEN}` : "";
  const lines = ["#EXTM3U"];
  const size = video === null ? "" : `,RESOLUTION=${CLIP.width}x${CLIP.height}`;
  if (apart) {
    server.serve(
      `${folder}/sound.m3u8`,
      await mediaPlaylist(publication, { name: "sound", video: null, audio }),
      manners,
    );
    lines.push(`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",DEFAULT=YES,URI="sound.m3u8${query}"`);
  }
  lines.push(`#EXT-X-STREAM-INF:BANDWIDTH=300000${size}${apart ? ',AUDIO="a"' : ""}`, `main.m3u8${query}`);
  server.serve(`${folder}/main.m3u8`, main, manners);
  server.serve(path, written(lines, hls), manners, HLS_TYPE);
}

interface PlaylistTracks extends Pick<ClipOptions, "video" | "audio"> {
  readonly name: string;
}

/** Publishes the segments. @returns their playlist */
async function mediaPlaylist(publication: HlsPublication, { name, video, audio }: PlaylistTracks): Promise<string> {
  const { composition, hls, folder, manners, shelf, server } = publication;
  const { container, start, trouble } = composition;
  const query = manners.token ? `?${TOKEN}` : "";
  const lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:3", "#EXT-X-MEDIA-SEQUENCE:7"];
  if (hls.end.startsWith("VOD")) lines.push("#EXT-X-PLAYLIST-TYPE:VOD");
  if (hls.end.startsWith("EVENT")) lines.push("#EXT-X-PLAYLIST-TYPE:EVENT");
  const key = trouble === "SAMPLE-AES" ? '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://asset"' : encryptedKey(hls, query);
  if (key !== undefined) lines.push(key);
  const parts: Buffer[] = [];
  let bytesSoFar = 0;
  let lastClip: Piece["clip"] | undefined;
  for (const [at, piece] of hls.pieces.entries()) {
    const clip = await shelf.clip({ container, start, ...tracksOf(piece, { video, audio }) });
    if (piece.discontinuity) lines.push("#EXT-X-DISCONTINUITY");
    if (clip.init !== null && piece.clip !== lastClip) {
      const init = `${name}-${at}.init`;
      server.serve(`${folder}/${init}`, clip.init, manners);
      lines.push(`#EXT-X-MAP:URI="${init}${query}"`);
    }
    lastClip = piece.clip;
    if (piece.there === "EXT-X-GAP") lines.push("#EXT-X-GAP");
    lines.push(`#EXTINF:${CLIP.segmentSeconds}.000,`);
    const body = bodyOf(clip, piece, hls, 7 + at);
    const isThere = piece.there === "yes" && trouble !== "all segments are gone";
    if (hls.byteRanges && isThere) {
      lines.push(`#EXT-X-BYTERANGE:${body.length}@${bytesSoFar}`, `${name} all.ts${query}`.replace(" ", "%20"));
      bytesSoFar += body.length;
      parts.push(body);
    } else {
      // Names of the field: letters of any script, raw.
      const segment = `${name}-отрезок ${at}`;
      if (isThere) server.serve(`${folder}/${segment}`, body, manners);
      lines.push(`${segment}${query}`);
    }
  }
  if (parts.length > 0) server.serve(`${folder}/${name} all.ts`, Buffer.concat(parts), manners);
  if (hls.end !== "VOD without ENDLIST") lines.push("#EXT-X-ENDLIST");
  return written(lines, hls);
}

/** What a piece's clip holds beside what the composition says. */
function tracksOf(
  { clip }: Pick<Piece, "clip">,
  { video, audio }: Pick<ClipOptions, "video" | "audio">,
): Pick<ClipOptions, "video" | "audio" | "farClock"> {
  switch (clip) {
    case "large picture":
      return { video: video === null ? null : "large", audio };
    case "other sound":
      return { video, audio: audio === null ? null : "aac 44.1 kHz" };
    case "far clock":
      return { video, audio, farClock: true };
    default:
      return { video, audio };
  }
}

function bodyOf(clip: Clip, piece: Piece, { encryption }: HlsShape, sequence: number): Buffer {
  const plain = clip.files[piece.number] ?? Buffer.alloc(0);
  if (encryption === "none") return plain;
  const own = Buffer.alloc(16);
  own.writeUInt32BE(sequence, 12);
  const cipher = createCipheriv("aes-128-cbc", KEY, encryption === "AES-128" ? own : IV);
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

function encryptedKey({ encryption }: HlsShape, query = ""): string | undefined {
  if (encryption === "none") return undefined;
  const iv = encryption === "AES-128" ? "" : `,IV=0x${IV.toString("hex")}`;
  return `#EXT-X-KEY:METHOD=AES-128,URI="key${query}"${iv}`;
}

function written(lines: readonly string[], { lineEnd, byteOrderMark }: HlsShape): string {
  return (byteOrderMark ? "\uFEFF" : "") + lines.map((line) => line + lineEnd).join("");
}
