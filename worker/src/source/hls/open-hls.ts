import { RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";
import { type HttpClient, type HttpDocument, withPatience } from "../http/http-client.ts";
import { HlsPresentation } from "./hls-presentation.ts";
import { type HlsTimer, systemTimer } from "./hls-timer.ts";
import type { AudioRendition, MasterPlaylist, Variant } from "./master-playlist.ts";
import type { MediaPlaylist } from "./media-playlist.ts";
import type { RenditionSource } from "./playlist-follower.ts";
import { MAX_PLAYLIST_BYTES, type Playlist, readPlaylistInSlices } from "./read-playlist.ts";
import { resolveReference } from "./resolve-reference.ts";
import { encryptedError } from "./segment-decryption.ts";
import { type AudioTrackChoice, rankAudio, rankVariants, reasonFor } from "./variant-choice.ts";

export interface OpenHlsOptions {
  readonly url: string;
  readonly http: HttpClient;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** The document from `url`, if it was already read. */
  readonly document?: HttpDocument | undefined;
  /**
   * The request's Mode. It decides whether a growing playlist of type EVENT is played from its beginning (`vod`) or
   * near the newest segment (`live`). Other playlists say themselves whether they are live.
   */
  readonly mode?: "vod" | "live" | undefined;
  /** The largest allowed picture height in lines. */
  readonly maxHeight?: number | undefined;
  readonly audioTrack?: AudioTrackChoice | undefined;
  /** The longest time for which the reader waits for a source that delivers nothing, ms. */
  readonly patienceMs?: number | undefined;
  /**
   * The position up to which the stream was played before, ms. A growing playlist is opened only when it has a segment
   * beyond this position. In a live playlist the position is unknown, so all its present segments count as played.
   */
  readonly playedToMs?: number | undefined;
  readonly clock?: HlsTimer | undefined;
}

export const DEFAULT_PATIENCE_MS = 30_000;
/**
 * The number of failed playlists after which no more are requested. A master playlist has about a dozen variants,
 * possibly on several CDNs.
 */
const MAX_FAILED_PLAYLISTS = 32;
/**
 * The time for which the HTTP client repeats a failed request, ms. It is short because the HLS reader repeats requests
 * itself, and may play another segment or variant instead.
 */
const HTTP_PATIENCE_MS = 1000;

/**
 * Opens an HLS stream: reads its playlists and chooses the variant. `presentation.segments(…)` reads the media.
 *
 * @throws RoomcastError `FailedOperation.Source…`; if no variant works, the error of the best one
 */
export async function openHls(options: OpenHlsOptions): Promise<HlsPresentation> {
  const { url, http, signal } = options;
  const document = options.document ?? (await http.read(url, { signal, maxBytes: MAX_PLAYLIST_BYTES }));
  const playlist = await readPlaylistInSlices(document, signal);
  const presentation = playlist.kind === "media" ? openMedia(playlist, options) : await openMaster(playlist, options);
  if (isPlayedToItsEnd(presentation, options.playedToMs)) await presentation.untilItGrows(signal);
  return presentation;
}

function isPlayedToItsEnd({ live, growsFromMs }: HlsPresentation, playedToMs: number | undefined): boolean {
  if (playedToMs === undefined || growsFromMs === null) return false;
  return live || playedToMs >= growsFromMs;
}

function openMedia(playlist: MediaPlaylist, options: OpenHlsOptions): HlsPresentation {
  checkPlayable(playlist, false);
  return present(options, {
    main: source({ playlist, url: options.url }, options),
    audio: null,
    variant: null,
    audioRendition: null,
    others: [],
    reasons: ["The playlist has no variants."],
  });
}

async function openMaster(master: MasterPlaylist, options: OpenHlsOptions): Promise<HlsPresentation> {
  const locked = master.sessionKeys.find((key) => key.method === "other");
  const open = master.sessionKeys.some((key) => key.method === "AES-128");
  if (locked?.method === "other" && !open) throw encryptedError(locked.name);
  const ranked = rankVariants(variantsOf(master), options.maxHeight);
  let firstError: RoomcastError | undefined;
  let empty: { variant: Variant; loaded: Loaded } | undefined;
  const reasons: string[] = [];
  const failed = new Set<string>();
  for (const variant of ranked) {
    // Several variants that differ by their audio may name the same playlist.
    if (failed.has(variant.uri)) continue;
    try {
      const loaded = await readMedia(variant.uri, master, options);
      checkPlayable(loaded.playlist, true);
      if (loaded.playlist.segments.length > 0) {
        return await openVariant(master, ranked, { variant, loaded, reasons }, options);
      }
      empty ??= { variant, loaded };
    } catch (error) {
      options.signal.throwIfAborted();
      const failure = RoomcastError.from(error);
      options.logger.warn({ bandwidth: variant.bandwidth, err: failure }, "A variant of the playlist cannot be read.");
      reasons.push(`A better variant was passed over: ${failure.message}`);
      firstError ??= failure;
      if (reasons.length >= MAX_FAILED_PLAYLISTS) break;
    }
  }
  // A live playlist may be empty while its encoder starts.
  if (empty !== undefined) return openVariant(master, ranked, { ...empty, reasons }, options);
  throw firstError ?? new RoomcastError("FailedOperation.SourceNotMedia", "The HLS playlist names no variant to play.");
}

/** Returns the variants. If the playlist has audio renditions only, the first one becomes a variant without video. */
function variantsOf(master: MasterPlaylist): readonly Variant[] {
  if (master.variants.length > 0) return master.variants;
  const [first] = master.audio.filter(({ uri }) => uri !== null);
  if (first?.uri == null) return [];
  const base = { bandwidth: 0, codecs: [], width: null, height: null, fps: null, videoRange: null, audioGroup: null };
  return [{ ...base, uri: first.uri, name: first.name }];
}

interface Chosen {
  readonly variant: Variant;
  readonly loaded: Loaded;
  readonly reasons: readonly string[];
}

async function openVariant(
  master: MasterPlaylist,
  ranked: readonly Variant[],
  { variant, loaded, reasons }: Chosen,
  options: OpenHlsOptions,
): Promise<HlsPresentation> {
  const audio = await openAudio(master, variant, options);
  return present(options, {
    main: source(loaded, options, master),
    audio: audio.source,
    variant,
    audioRendition: audio.rendition,
    others: ranked.map((other) => ({
      variant: other,
      open: async (signal) => {
        const media = await readMedia(other.uri, master, { ...options, signal, http: impatient(options) });
        checkPlayable(media.playlist, true);
        return source(media, options, master);
      },
    })),
    reasons: [...reasons, reasonFor(variant, ranked), ...audio.reasons],
  });
}

interface ChosenAudio {
  readonly source: RenditionSource | null;
  readonly rendition: AudioRendition | null;
  readonly reasons: readonly string[];
}

async function openAudio(master: MasterPlaylist, variant: Variant, options: OpenHlsOptions): Promise<ChosenAudio> {
  const { audioTrack } = options;
  const { renditions, choiceFound } = rankAudio(master, variant, audioTrack);
  const reasons: string[] = [];
  if (audioTrack !== undefined && !choiceFound && renditions.length > 0) {
    const languages = renditions.map(({ language, name }) => language ?? name).join(", ");
    reasons.push(`The playlist has no sound track "${audioTrack}" (it has ${languages.slice(0, 200)}).`);
  }
  for (const rendition of renditions) {
    // Without a URI, the audio is part of the variant. A variant without video may also be listed as its own audio
    // rendition.
    if (rendition.uri === null || rendition.uri === variant.uri) return { source: null, rendition, reasons };
    try {
      const loaded = await readMedia(rendition.uri, master, options);
      checkPlayable(loaded.playlist, true);
      return { source: source(loaded, options, master), rendition, reasons };
    } catch (error) {
      options.signal.throwIfAborted();
      const failure = RoomcastError.from(error);
      options.logger.warn({ name: rendition.name, err: failure }, "A sound track of the playlist cannot be read.");
      reasons.push(`The sound track "${rendition.name.slice(0, 80)}" was passed over: ${failure.message}`);
      if (reasons.length >= MAX_FAILED_PLAYLISTS) break;
    }
  }
  return { source: null, rendition: null, reasons };
}

interface Loaded {
  readonly playlist: MediaPlaylist;
  /** The URL that was requested, before redirects. */
  readonly url: string;
}

async function readMedia(uri: string, master: MasterPlaylist, options: OpenHlsOptions): Promise<Loaded> {
  const url = resolveReference(uri, master.url);
  if (url === null) {
    throw new RoomcastError(
      "FailedOperation.SourceUnsupported",
      "The HLS playlist contains an address that is not http(s). Only http and https are supported.",
    );
  }
  return loadMedia(url, options, master);
}

interface LoadOptions extends OpenHlsOptions {
  /** Called with the number of bytes that the server sent. */
  readonly onRead?: (bytes: number) => void;
}

async function loadMedia(url: string, options: LoadOptions, master?: MasterPlaylist): Promise<Loaded> {
  const document = await readDocument(url, options);
  const playlist = await readPlaylistInSlices({ ...document, imported: master?.variables }, options.signal);
  return { playlist: mediaOnly(playlist), url };
}

async function readDocument(url: string, { http, signal, onRead }: LoadOptions): Promise<HttpDocument> {
  try {
    const document = await http.read(url, { signal, maxBytes: MAX_PLAYLIST_BYTES });
    onRead?.(document.body.length);
    return document;
  } catch (error) {
    // The HTTP client reports this code only for a document that is too large, after it has received that many bytes.
    if (RoomcastError.from(error).code === "FailedOperation.SourceUnsupported") onRead?.(MAX_PLAYLIST_BYTES);
    throw error;
  }
}

function mediaOnly(playlist: Playlist): MediaPlaylist {
  if (playlist.kind === "media") return playlist;
  throw new RoomcastError("FailedOperation.SourceNotMedia", "A variant of the HLS playlist names further variants.");
}

function source({ playlist, url }: Loaded, options: OpenHlsOptions, master?: MasterPlaylist): RenditionSource {
  // A reload requests the original address, because the target of a redirect may have expired.
  const loadedAtMs = (options.clock ?? systemTimer).nowMs();
  return {
    playlist,
    loadedAtMs,
    reload: async (signal, onRead) => {
      return (await loadMedia(url, { ...options, signal, onRead, http: impatient(options) }, master)).playlist;
    },
  };
}

function impatient({ http }: OpenHlsOptions): HttpClient {
  return withPatience(http, HTTP_PATIENCE_MS);
}

/** Checks that a media playlist can be played. @throws RoomcastError if it cannot */
function checkPlayable(playlist: MediaPlaylist, isVariant: boolean): void {
  const { segments } = playlist;
  if (playlist.iFramesOnly) {
    throw new RoomcastError(
      "FailedOperation.SourceUnsupported",
      "The HLS playlist has keyframes only (EXT-X-I-FRAMES-ONLY): give the address of a variant that can be played.",
    );
  }
  for (const { key, map } of segments) {
    const locked = key?.method === "other" ? key : map?.key?.method === "other" ? map.key : undefined;
    if (locked !== undefined) throw encryptedError(locked.name);
  }
  if (segments.length === 0 && playlist.complete) {
    const what = isVariant ? "A variant of the HLS playlist" : "The HLS playlist";
    throw new RoomcastError("FailedOperation.SourceNotMedia", `${what} is empty: it names no segment.`);
  }
}

type Parts = Omit<
  ConstructorParameters<typeof HlsPresentation>[0],
  "http" | "clock" | "logger" | "patienceMs" | "live"
>;

function present(options: OpenHlsOptions, parts: Parts): HlsPresentation {
  const { playlist } = parts.main;
  return new HlsPresentation({
    ...parts,
    http: impatient(options),
    logger: options.logger,
    clock: options.clock ?? systemTimer,
    patienceMs: options.patienceMs ?? DEFAULT_PATIENCE_MS,
    live: !playlist.complete && !(playlist.type === "EVENT" && options.mode === "vod"),
  });
}
