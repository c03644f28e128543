import { RoomcastError } from "@roomcast/shared";
import { AttributeList, finite, readDecimal } from "./attribute-list.ts";
import type { PlaylistVariables } from "./playlist-variables.ts";
import { KeysInForce, type SegmentKey } from "./segment-key.ts";

export interface ByteRange {
  readonly start: number;
  /** The last byte of the range, inclusive. */
  readonly end: number;
}

/** An initialisation segment (`EXT-X-MAP`). */
export interface SegmentMap {
  readonly uri: string;
  readonly range: ByteRange | null;
  readonly key: SegmentKey | null;
}

export interface PlaylistSegment {
  readonly sequence: number;
  /** The URI as the playlist gives it, with its variables replaced. It is not resolved to an absolute URL. */
  readonly uri: string;
  /** Milliseconds since the beginning of this playlist. */
  readonly offsetMs: number;
  readonly durationMs: number;
  /** True if the playlist declares a discontinuity before the segment (`EXT-X-DISCONTINUITY`). */
  readonly discontinuity: boolean;
  /** True if the playlist declares the segment as missing (`EXT-X-GAP`). */
  readonly gap: boolean;
  /**
   * Wall-clock time of the segment's beginning, ms since 1970, calculated from the last declared date; null if it is
   * unknown.
   */
  readonly programDateTimeMs: number | null;
  readonly range: ByteRange | null;
  readonly map: SegmentMap | null;
  readonly key: SegmentKey | null;
}

export interface MediaPlaylist {
  readonly kind: "media";
  /** The playlist's URL after redirects, to which its addresses are relative. */
  readonly url: string;
  readonly type: "VOD" | "EVENT" | null;
  /** True if no segments will be added: the playlist has an end tag or is of type VOD. */
  readonly complete: boolean;
  /** The target duration of segments in milliseconds, never 0. */
  readonly targetDurationMs: number;
  readonly segments: readonly PlaylistSegment[];
  readonly durationMs: number;
  /**
   * The preferred start (`EXT-X-START`), ms, or null if the playlist does not say. A negative value counts from the
   * end.
   */
  readonly startMs: number | null;
  /**
   * The least distance from the end that a live player must keep (`HOLD-BACK`), ms, or null if the playlist does not
   * say.
   */
  readonly holdBackMs: number | null;
  /** True if the playlist contains only keyframes, so that it cannot be played as a stream. */
  readonly iFramesOnly: boolean;
  /** The size of the document in bytes. */
  readonly bytes: number;
}

/**
 * The most segments of a playlist: two days of segments of two seconds, or almost a week of segments of six seconds.
 * More would take too much memory for one stream.
 */
const MAX_SEGMENTS = 100_000;
/** The longest duration of a segment that is believed, ms. A longer one is a mistake of the packager. */
const MAX_SEGMENT_MS = 24 * 3600 * 1000;
const DEFAULT_TARGET_MS = 6000;
const MAX_DATE_MS = 8.64e15;

/** Reads a media playlist line by line. It tolerates irregular lines. */
export class MediaPlaylistReader {
  readonly #url: string;
  readonly #variables: PlaylistVariables;
  readonly #keys = new KeysInForce();
  readonly #segments: Mutable<PlaylistSegment>[] = [];
  #type: "VOD" | "EVENT" | null = null;
  #ended = false;
  #declaredTargetMs: number | undefined;
  #sequence = 0;
  #startMs: number | null = null;
  #holdBackMs: number | null = null;
  #iFramesOnly = false;
  #map: SegmentMap | null = null;
  #anyExtinf = false;
  // The following fields hold the tags that apply to the next address.
  #durationMs: number | undefined;
  #hasExtinf = false;
  #discontinuity = false;
  #gap = false;
  #dateMs: number | null = null;
  #rangeText: string | undefined;

  constructor(url: string, variables: PlaylistVariables) {
    this.#url = url;
    this.#variables = variables;
  }

  tag(name: string, value: string): void {
    switch (name) {
      case "EXTINF":
        this.#durationMs = readDuration(value);
        this.#hasExtinf = true;
        return;
      case "EXT-X-BYTERANGE":
        this.#rangeText = value;
        return;
      case "EXT-X-DISCONTINUITY":
        this.#discontinuity = true;
        return;
      case "EXT-X-GAP":
        this.#gap = true;
        return;
      case "EXT-X-PROGRAM-DATE-TIME":
        this.#dateMs = readDate(value);
        return;
      case "EXT-X-KEY":
        this.#keys.apply(this.#attributes(value));
        return;
      case "EXT-X-MAP":
        this.#map = this.#readMap(value);
        return;
      case "EXT-X-TARGETDURATION":
        this.#declaredTargetMs = toMs(readDecimal(value));
        return;
      case "EXT-X-MEDIA-SEQUENCE":
        // A tag after the first segment is ignored: it would renumber segments that were already read.
        if (this.#segments.length === 0) this.#sequence = count(value) ?? 0;
        return;
      case "EXT-X-SKIP":
        this.#sequence += this.#attributes(value).number("SKIPPED-SEGMENTS") ?? 0;
        return;
      case "EXT-X-PLAYLIST-TYPE":
        this.#type = readType(value);
        return;
      case "EXT-X-ENDLIST":
        this.#ended = true;
        return;
      case "EXT-X-I-FRAMES-ONLY":
        this.#iFramesOnly = true;
        return;
      case "EXT-X-START":
        this.#startMs = signedMs(this.#attributes(value).number("TIME-OFFSET"));
        return;
      case "EXT-X-SERVER-CONTROL":
        this.#holdBackMs = toMs(this.#attributes(value).number("HOLD-BACK")) ?? null;
        return;
      case "EXT-X-DEFINE":
        this.#variables.define(this.#attributes(value));
        return;
      default:
        return;
    }
  }

  address(line: string): void {
    if (this.#hasExtinf && !this.#anyExtinf) {
      // Addresses without an EXTINF tag are segments only if no address has one.
      this.#anyExtinf = true;
      this.#segments.length = 0;
    }
    if (this.#anyExtinf && !this.#hasExtinf) return;
    if (this.#segments.length >= MAX_SEGMENTS) {
      throw new RoomcastError(
        "FailedOperation.SourceUnsupported",
        `The HLS playlist has more than ${MAX_SEGMENTS} segments.`,
      );
    }
    const before = this.#segments.at(-1);
    const uri = this.#variables.expand(line);
    this.#segments.push({
      sequence: before === undefined ? this.#sequence : before.sequence + 1,
      uri,
      offsetMs: 0,
      durationMs: this.#durationMs ?? Number.NaN,
      discontinuity: this.#discontinuity,
      gap: this.#gap,
      programDateTimeMs: this.#dateMs,
      range: readRange(this.#rangeText, before?.uri === uri && before.range !== null ? before.range.end + 1 : 0),
      map: this.#map,
      key: this.#keys.current,
    });
    this.#durationMs = undefined;
    this.#hasExtinf = false;
    this.#discontinuity = false;
    this.#gap = false;
    this.#dateMs = null;
    this.#rangeText = undefined;
  }

  finish(bytes: number): MediaPlaylist {
    const targetDurationMs = this.#targetMs();
    const everyZero = this.#segments.every((segment) => segment.durationMs === 0);
    let offsetMs = 0;
    let dateMs: number | null = null;
    for (const segment of this.#segments) {
      if (Number.isNaN(segment.durationMs) || everyZero) segment.durationMs = targetDurationMs;
      segment.offsetMs = offsetMs;
      offsetMs += segment.durationMs;
      dateMs = segment.programDateTimeMs ?? (segment.discontinuity ? null : dateMs);
      segment.programDateTimeMs = dateMs;
      if (dateMs !== null) dateMs += segment.durationMs;
    }
    return {
      kind: "media",
      url: this.#url,
      type: this.#type,
      complete: this.#ended || this.#type === "VOD",
      targetDurationMs,
      segments: this.#segments,
      durationMs: offsetMs,
      startMs: this.#startMs,
      holdBackMs: this.#holdBackMs,
      iFramesOnly: this.#iFramesOnly,
      bytes,
    };
  }

  #targetMs(): number {
    if (this.#declaredTargetMs !== undefined) return this.#declaredTargetMs;
    let longestMs = 0;
    for (const { durationMs } of this.#segments) longestMs = durationMs > longestMs ? durationMs : longestMs;
    return longestMs === 0 ? DEFAULT_TARGET_MS : longestMs;
  }

  #readMap(value: string): SegmentMap | null {
    const attributes = this.#attributes(value);
    const uri = attributes.text("URI");
    if (uri === undefined) return null;
    return { uri, range: readRange(attributes.text("BYTERANGE"), 0), key: this.#keys.current };
  }

  #attributes(value: string): AttributeList {
    return new AttributeList(value, this.#variables.expand);
  }
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Parses a duration into ms, or returns undefined. A comma is the decimal sign only if another comma follows it. */
function readDuration(value: string): number | undefined {
  const decimalComma = /^\s*(\d+),(\d+)\s*,/.exec(value);
  const seconds =
    decimalComma === null
      ? finite(/^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)/i.exec(value)?.[1] ?? "NaN")
      : finite(`${decimalComma[1]}.${decimalComma[2]}`);
  if (seconds === undefined || seconds < 0 || seconds * 1000 > MAX_SEGMENT_MS) return undefined;
  return seconds * 1000;
}

function toMs(seconds: number | undefined): number | undefined {
  const ms = (seconds ?? 0) * 1000;
  return ms > 0 && ms <= MAX_SEGMENT_MS ? ms : undefined;
}

function signedMs(seconds: number | undefined): number | null {
  return seconds === undefined ? null : seconds * 1000;
}

function readType(value: string): "VOD" | "EVENT" | null {
  const type = value.trim().toUpperCase();
  return type === "VOD" || type === "EVENT" ? type : null;
}

function readDate(value: string): number | null {
  const dateMs = Date.parse(value.trim());
  return Math.abs(dateMs) <= MAX_DATE_MS ? dateMs : null;
}

/**
 * Parses a whole number. Returns undefined if there is none, or if the sequence numbers of later segments would be too
 * large to be exact.
 */
function count(value: string | undefined): number | undefined {
  const number = Number(/^\s*"?(\d+)/.exec(value ?? "")?.[1] ?? "NaN");
  return number <= Number.MAX_SAFE_INTEGER - MAX_SEGMENTS ? number : undefined;
}

/**
 * Parses `<length>[@<start>]`. Returns null if the value is missing or malformed.
 *
 * @param followingStart the start of the range if the value does not give one
 */
function readRange(text: string | undefined, followingStart: number): ByteRange | null {
  const match = /^\s*"?\s*(\d+)\s*(?:@\s*(\d+))?/.exec(text ?? "");
  const length = count(match?.[1]);
  const start = match?.[2] === undefined ? followingStart : count(match[2]);
  if (length === undefined || length === 0 || start === undefined) return null;
  return { start, end: start + length - 1 };
}
