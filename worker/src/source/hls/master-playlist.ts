import { RoomcastError } from "@roomcast/shared";
import { AttributeList } from "./attribute-list.ts";
import type { PlaylistVariables } from "./playlist-variables.ts";
import { readKey, type SegmentKey } from "./segment-key.ts";

/** One variant stream (`EXT-X-STREAM-INF`). */
export interface Variant {
  readonly uri: string;
  /** The bit rate of the variant in bit/s, or 0 if the playlist does not say. */
  readonly bandwidth: number;
  /** The codecs as the playlist lists them; empty if it does not. */
  readonly codecs: readonly string[];
  /** The picture's width in pixels. The width, the height and the frame rate are null if the playlist does not say. */
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number | null;
  /** The video range (`SDR`, `PQ` or `HLG`), or null if the playlist does not say. */
  readonly videoRange: string | null;
  readonly name: string | null;
  /** The group id of the variant's audio renditions, or null if the variant names no group. */
  readonly audioGroup: string | null;
}

/** One audio rendition (`EXT-X-MEDIA` of type AUDIO). */
export interface AudioRendition {
  readonly groupId: string;
  readonly name: string;
  readonly language: string | null;
  readonly isDefault: boolean;
  readonly autoSelect: boolean;
  /** The address of the rendition's playlist, or null if the audio is part of the variant itself. */
  readonly uri: string | null;
}

export interface MasterPlaylist {
  readonly kind: "master";
  readonly url: string;
  readonly variants: readonly Variant[];
  readonly audio: readonly AudioRendition[];
  readonly sessionKeys: readonly SegmentKey[];
  /** Variables that media playlists can import. */
  readonly variables: ReadonlyMap<string, string>;
}

/**
 * The most entries of each kind, more than any real playlist has. Entries are sorted without a pause, so a longer list
 * would block the process.
 */
const MAX_ENTRIES = 2000;

/**
 * Reads a master playlist line by line. It tolerates irregular lines, and throws only if there are too many entries.
 */
export class MasterPlaylistReader {
  readonly #url: string;
  readonly #variables: PlaylistVariables;
  readonly #variants: Variant[] = [];
  readonly #audio: AudioRendition[] = [];
  readonly #sessionKeys: SegmentKey[] = [];
  #streamInf: string | undefined;

  constructor(url: string, variables: PlaylistVariables) {
    this.#url = url;
    this.#variables = variables;
  }

  tag(name: string, value: string): void {
    if (name === "EXT-X-STREAM-INF") this.#streamInf = value;
    else if (name === "EXT-X-MEDIA") this.#media(this.#attributes(value));
    else if (name === "EXT-X-DEFINE") this.#variables.define(this.#attributes(value));
    else if (name === "EXT-X-SESSION-KEY") {
      const key = readKey(this.#attributes(value));
      if (key !== null) {
        refuseTooMany(this.#sessionKeys, "session keys");
        this.#sessionKeys.push(key);
      }
    }
  }

  address(line: string): void {
    if (this.#streamInf === undefined) return;
    const attributes = this.#attributes(this.#streamInf);
    this.#streamInf = undefined;
    refuseTooMany(this.#variants, "variants");
    const resolution = /^\s*(\d{1,6})\s*[x*×]\s*(\d{1,6})/i.exec(attributes.text("RESOLUTION") ?? "");
    this.#variants.push({
      uri: this.#variables.expand(line),
      bandwidth: positive(attributes.number("BANDWIDTH")) ?? positive(attributes.number("AVERAGE-BANDWIDTH")) ?? 0,
      codecs: (attributes.text("CODECS") ?? "")
        .split(",")
        .map((codec) => codec.trim())
        .filter((codec) => codec !== ""),
      width: positive(Number(resolution?.[1] ?? 0)),
      height: positive(Number(resolution?.[2] ?? 0)),
      fps: positive(attributes.number("FRAME-RATE")),
      videoRange: attributes.keyword("VIDEO-RANGE") ?? null,
      name: attributes.text("NAME") ?? null,
      audioGroup: attributes.text("AUDIO") ?? null,
    });
  }

  finish(): MasterPlaylist {
    return {
      kind: "master",
      url: this.#url,
      variants: this.#variants,
      audio: this.#audio,
      sessionKeys: this.#sessionKeys,
      variables: this.#variables.values,
    };
  }

  #media(attributes: AttributeList): void {
    if (attributes.keyword("TYPE") !== "AUDIO") return;
    refuseTooMany(this.#audio, "sound tracks");
    this.#audio.push({
      groupId: attributes.text("GROUP-ID") ?? "",
      name: attributes.text("NAME") ?? "",
      language: attributes.text("LANGUAGE") ?? null,
      isDefault: attributes.flag("DEFAULT"),
      autoSelect: attributes.flag("AUTOSELECT"),
      uri: attributes.text("URI") ?? null,
    });
  }

  #attributes(value: string): AttributeList {
    return new AttributeList(value, this.#variables.expand);
  }
}

function refuseTooMany(entries: readonly unknown[], what: string): void {
  if (entries.length < MAX_ENTRIES) return;
  throw new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The HLS playlist names more than ${MAX_ENTRIES} ${what}.`,
  );
}

function positive(value: number | undefined): number | null {
  return value !== undefined && value > 0 ? value : null;
}
