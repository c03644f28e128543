import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { Logger } from "pino";
import { detectContainer } from "../demux/detect-container.ts";
import { FILE_START, findTsByte, findTsTimes } from "../demux/mpegts/ts-times.ts";
import { ByteFeed } from "../feed/byte-feed.ts";
import { openFeedSource } from "../feed/feed-source.ts";
import { openStreamSource, transcodeFlv } from "../ffmpeg/ffmpeg-source.ts";
import type { MediaCapabilities } from "../ffmpeg/media-capabilities.ts";
import type { ProbeInput } from "../ffmpeg/probe.ts";
import type { ProbedMedia } from "../ffmpeg/probe-report.ts";
import { foreignContent } from "../foreign-content.ts";
import { documentKind, notHlsError } from "../hls/document-kind.ts";
import { openForeignHlsSource } from "../hls/open-foreign-hls.ts";
import { openHlsSource } from "../hls/open-hls-source.ts";
import { MAX_PLAYLIST_BYTES } from "../hls/read-playlist.ts";
import type { HttpAnswer, HttpClient } from "../http/http-client.ts";
import { OpenedResource } from "../http/opened-resource.ts";
import { FragmentFinder } from "../mp4/find-fragment.ts";
import type { FragmentedMovie } from "../mp4/fragmented-movie.ts";
import { openMp4Source } from "../mp4/open-mp4-source.ts";
import { type OpenRange, RangeStream } from "../mp4/range-stream.ts";
import type { PlanOptions } from "../plan/plan.ts";
import type { Source } from "../source.ts";
import { judgeStream } from "./judge-stream.ts";

export interface HttpSourceOptions {
  readonly url: string;
  readonly http: HttpClient;
  /** True if the request's Mode is `live`. */
  readonly askedLive: boolean;
  /**
   * True if the room has seen the source before. A growing playlist is then opened only when it has an unplayed
   * segment.
   */
  readonly returns?: boolean | undefined;
  readonly startAtMs: number;
  readonly wishes: PlanOptions;
  readonly capabilities: MediaCapabilities;
  /** Probes a byte stream with ffprobe. */
  readonly probe: (input: ProbeInput) => Promise<ProbedMedia>;
  /** Opens a source that this process does not read itself. ffmpeg reads it through the gateway. */
  readonly openWithFfmpeg: (known: ProbedMedia | null, facts?: KnownFacts) => Promise<Source>;
  readonly readyTimeoutMs?: number | undefined;
  /** The longest time without new media of an HLS stream before it counts as lost, ms. */
  readonly patienceMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** The duration of a fragmented file. ffmpeg does not find it, because it reads only the beginning of the file. */
export interface FragmentedFile {
  /** Null if unknown. */
  readonly durationMs: number | null;
}

/** The facts that are known about a source before ffmpeg opens it. */
export interface KnownFacts {
  readonly fragments?: FragmentedFile | undefined;
  /** True if the source is a recording although its server gives neither a length nor ranges. */
  readonly recorded?: boolean | undefined;
}

/** The part that is played if the start position is after the end, ms. It lets the room get a picture. */
const LEAST_LEFT_MS = 1000;
/** The longer time-out for a file that has to be read up to its start position. */
const READ_TO_POSITION_TIMEOUT_MS = 60_000;

/**
 * Opens a source at an http(s) address. The kind is detected by the bytes, not by the name or the content type.
 *
 * @throws RoomcastError `FailedOperation.Source…`; the signal's reason when that aborts. No connection is left open
 *   after an error.
 */
export async function openHttpSource(options: HttpSourceOptions): Promise<Source> {
  const { url, http, signal, log } = options;
  const resource = await OpenedResource.open(http, url, signal);
  try {
    const { head, answer } = resource;
    if (head.length === 0) {
      throw new RoomcastError("FailedOperation.SourceNotMedia", "The source is empty (0 bytes).");
    }
    const kind = documentKind(head, answer.contentType);
    if (kind === "hls") return await openPlaylist(resource, options);
    if (kind !== null) throw notHlsError(head, answer.contentType);
    switch (detectContainer(head)) {
      case "mp4":
      case "fmp4":
        return await openMp4(resource, options);
      case "mpegts":
        return await openTransportStream(resource, options);
      case "flv":
        if (isUnbounded(resource, options)) return await openUnbounded(resource, "flv", options);
        break;
      default: {
        // ffmpeg recognises the beginning of some of these formats, and its error would be misleading.
        const foreign = foreignContent(head);
        if (foreign !== undefined) throw foreign;
      }
    }
    log.debug({ contentType: answer.contentType }, "source needs ffmpeg");
    const recorded = isUnbounded(resource, options) && !options.askedLive && (await isRecording(resource));
    await resource.close();
    return await options.openWithFfmpeg(null, { recorded });
  } catch (error) {
    await resource.close();
    throw error;
  }
}

async function openPlaylist(resource: OpenedResource, options: HttpSourceOptions): Promise<Source> {
  const { wishes, signal, probe } = options;
  return await openHlsSource({
    ...options,
    document: await resource.document(MAX_PLAYLIST_BYTES),
    transcodeFlv,
    openForeign: ({ presentation, startAtMs, plan, reasons }) =>
      openForeignHlsSource({
        presentation,
        startAtMs,
        plan: { ...wishes, ...plan },
        reasons,
        signal,
        probe,
        openStream: openStreamSource,
      }),
  });
}

async function openMp4(resource: OpenedResource, options: HttpSourceOptions): Promise<Source> {
  const { startAtMs, signal, wishes, capabilities, log } = options;
  const openRange = rangesOf(resource, options);
  const opened = await openMp4Source({
    openRange,
    startAtMs,
    signal,
    plan: wishes,
    decodesUsac: capabilities.decodesUsac,
  });
  if (opened.name === "opened") return opened.source;
  if (opened.name === "fragmented") return await openFragmented(opened.movie, resource.answer, options);
  log.debug({ reason: opened.reason }, "source needs ffmpeg");
  await resource.close();
  return await options.openWithFfmpeg(opened.probed);
}

/** Returns a function that opens ranges. Its first call reuses the request that was already made. */
function rangesOf(resource: OpenedResource, { http, url }: HttpSourceOptions): OpenRange {
  let first: OpenedResource | undefined = resource;
  return async (startByte, signal) => {
    if (startByte !== 0 || first === undefined) return await http.open(url, { signal, range: { start: startByte } });
    const { answer } = first;
    const body = first.body();
    first = undefined;
    return { ...answer, body };
  };
}

/** Opens an MP4 file that lists its samples in fragments throughout the file and has no index of all of them. */
async function openFragmented(
  movie: FragmentedMovie,
  known: Pick<HttpAnswer, "totalBytes" | "seekable">,
  options: HttpSourceOptions,
): Promise<Source> {
  const { http, url, signal, startAtMs } = options;
  const openRange: OpenRange = async (startByte, opening) =>
    await http.open(url, { signal: opening, range: { start: startByte } });
  const file = new RangeStream({ openRange, startByte: movie.mediaByte, known });
  try {
    const finder = new FragmentFinder(file, movie);
    // Both calls read different places of the file, so they run in parallel in case the server is slow.
    const [durationMs, endIsCut] = await Promise.all([finder.durationMs(), finder.isCut()]);
    const position = withinDuration(startAtMs, durationMs);
    const found = await finder.find(position);
    await file.close();
    const start = found?.startByte ?? movie.mediaByte;
    const { body } = await http.open(url, { signal, range: { start } });
    const head = movie.initialisation;
    const placed = { body, head, placeMs: found?.startMs ?? 0, startAtMs: position, durationMs, endIsCut };
    return await openBytes({ ...placed, fragments: { durationMs } }, "mov,mp4,m4a,3gp,3g2,mj2", options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openTransportStream(resource: OpenedResource, options: HttpSourceOptions): Promise<Source> {
  const { http, url, signal, startAtMs } = options;
  const { totalBytes, seekable } = resource.answer;
  if (isUnbounded(resource, options)) return await openUnbounded(resource, "mpegts", options);
  const file = totalBytes === null || !seekable ? null : { http, url, totalBytes };
  const times = file === null ? null : await findTsTimes(file, resource.head, signal);
  const position = withinDuration(startAtMs, times?.durationMs ?? null);
  const place = file === null || times === null ? FILE_START : await findTsByte(file, times, position, signal);
  const common = { startAtMs: position, durationMs: times?.durationMs ?? null };
  if (place.startByte === 0)
    return await openBytes({ body: resource.body(), placeMs: 0, ...common }, "mpegts", options);
  await resource.close();
  const { body } = await http.open(url, { signal, range: { start: place.startByte } });
  return await openBytes({ body, placeMs: place.startMs, ...common }, "mpegts", options);
}

/**
 * Opens a stream whose server gives no length. If the request does not ask for live, a recording is played to its end.
 */
async function openUnbounded(
  resource: OpenedResource,
  container: "flv" | "mpegts",
  options: HttpSourceOptions,
): Promise<Source> {
  const { askedLive, startAtMs } = options;
  const flv = container === "flv";
  if (askedLive)
    return await openBytes({ body: resource.body(), flv, live: true, endIsLoss: true }, container, options);
  const { recorded, body } = await judgeStream(resource.body(), container);
  if (!recorded) return await openBytes({ body, flv, live: true }, container, options);
  const place = flv ? {} : { placeMs: 0 };
  return await openBytes({ body, flv, ...place, startAtMs, recorded }, container, options);
}

async function isRecording(resource: OpenedResource): Promise<boolean> {
  const { recorded, body } = await judgeStream(resource.body(), isSound(resource.head) ? "sound" : "other");
  await body[Symbol.asyncIterator]().return?.();
  return recorded;
}

/** Returns true if the bytes begin a stream of sound alone, such as radio stations send. */
function isSound(head: Buffer): boolean {
  const magic = head.toString("latin1", 0, 4);
  return ["OggS", "fLaC", "RIFF"].includes(magic) || ["adts", "mp3", "ac3", "id3"].includes(detectContainer(head));
}

interface Bytes {
  readonly body: AsyncIterable<Buffer>;
  readonly head?: Buffer;
  readonly flv?: boolean;
  readonly live?: boolean;
  readonly endIsLoss?: boolean;
  readonly endIsCut?: boolean;
  readonly fragments?: FragmentedFile;
  readonly recorded?: boolean;
  readonly placeMs?: number;
  readonly startAtMs?: number;
  readonly durationMs?: number | null;
}

async function openBytes(bytes: Bytes, container: string, options: HttpSourceOptions): Promise<Source> {
  const { url, askedLive, wishes, log, signal, readyTimeoutMs } = options;
  const { live = false, startAtMs = 0 } = bytes;
  let foreign = false;
  const feed = new ByteFeed({
    body: bytes.body,
    format: bytes.flv === true ? "flv" : "container",
    head: bytes.head,
    placeMs: bytes.placeMs,
    audioTrack: wishes.audioTrack,
    live,
    onForeign: () => {
      foreign = true;
    },
    endIsLoss: bytes.endIsLoss ?? false,
    endIsCut: bytes.endIsCut,
  });
  try {
    return await openFeedSource({
      feed,
      shown: shownUrl(url),
      container,
      live,
      durationMs: bytes.durationMs ?? null,
      startAtMs,
      // A stream of unknown duration may consist of joined recordings, whose clock restarts with each of them.
      clockTellsPosition: bytes.durationMs != null,
      endIsLoss: bytes.endIsLoss ?? false,
      plan: { ...wishes, live, askedLive },
      transcodeFlv,
      log,
      signal,
      readyTimeoutMs: readyTimeoutMs ?? (startAtMs > 0 ? READ_TO_POSITION_TIMEOUT_MS : undefined),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!foreign) throw RoomcastError.from(error);
    return await options.openWithFfmpeg(null, { fragments: bytes.fragments, recorded: bytes.recorded });
  }
}

/** Returns true for a stream that may not end, or that its server produces while it sends it. */
function isUnbounded({ answer }: OpenedResource, { askedLive }: HttpSourceOptions): boolean {
  return answer.totalBytes === null && (askedLive || !answer.seekable);
}

function withinDuration(startAtMs: number, durationMs: number | null): number {
  return durationMs === null ? startAtMs : Math.max(0, Math.min(startAtMs, durationMs - LEAST_LEFT_MS));
}
