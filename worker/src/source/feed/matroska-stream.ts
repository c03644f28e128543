import { Readable } from "node:stream";
import { tagDataOffset } from "../../media/flv/flv-tag.ts";
import { codecOf, type FedTag } from "./fed-tag.ts";
import { HIGH_WATER_BYTES, type RunStream, type RunStreamOptions } from "./flv-stream.ts";

/** Element ids of Matroska (RFC 9559, section 5). */
const ID = {
  ebml: [0x1a, 0x45, 0xdf, 0xa3],
  docType: [0x42, 0x82],
  segment: [0x18, 0x53, 0x80, 0x67],
  info: [0x15, 0x49, 0xa9, 0x66],
  timestampScale: [0x2a, 0xd7, 0xb1],
  tracks: [0x16, 0x54, 0xae, 0x6b],
  trackEntry: [0xae],
  trackNumber: [0xd7],
  trackUid: [0x73, 0xc5],
  trackType: [0x83],
  codecId: [0x86],
  codecPrivate: [0x63, 0xa2],
  cluster: [0x1f, 0x43, 0xb6, 0x75],
  timestamp: [0xe7],
  simpleBlock: [0xa3],
} as const;
const UNKNOWN_SIZE = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const TRACKS = {
  video: { number: 1, type: 1, codecId: "V_MPEGH/ISO/HEVC" },
  audio: { number: 2, type: 2, codecId: "A_AAC" },
} as const;

/**
 * Writes HEVC with AAC as a Matroska stream whose clock begins at 0. Before version 6.1 ffmpeg does not read HEVC in
 * FLV, and no version reads the form that Chinese CDNs use.
 */
export class MatroskaStream extends Readable implements RunStream {
  readonly #options: RunStreamOptions;
  readonly #headers = new Map<FedTag["kind"], Buffer>();
  #baseMs: number | undefined;
  #full = false;

  constructor(options: RunStreamOptions) {
    super({ highWaterMark: HIGH_WATER_BYTES });
    this.#options = options;
  }

  get baseMs(): number | undefined {
    return this.#baseMs;
  }

  write(tag: FedTag): void {
    if (this.destroyed || this.readableEnded) return;
    const body = bodyOf(tag);
    if (body === null) return;
    if (tag.sequenceHeader) {
      this.#headers.set(tag.kind, body.data);
      return;
    }
    if (this.#baseMs === undefined) {
      this.#baseMs = tag.dtsMs;
      this.push(this.#beginning());
    }
    const timestampMs = Math.round(tag.dtsMs - this.#baseMs + body.compositionMs);
    // Sound from before the beginning is dropped: it belongs to pictures before the first one.
    if (timestampMs < 0) return;
    const block = Buffer.concat([
      Buffer.from([0x80 | TRACKS[tag.kind].number, 0, 0, tag.keyframe ? 0x80 : 0]),
      body.data,
    ]);
    this.push(element(ID.cluster, element(ID.timestamp, unsigned(timestampMs)), element(ID.simpleBlock, block)));
    if (!this.#full && this.readableLength > HIGH_WATER_BYTES) {
      this.#full = true;
      this.#options.onFull();
    }
  }

  finish(): void {
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#options.onRoom();
  }

  #beginning(): Buffer {
    const { tracks } = this.#options;
    const entries = (["video", "audio"] as const).filter((kind) => tracks[kind]).map((kind) => this.#entry(kind));
    return Buffer.concat([
      element(ID.ebml, element(ID.docType, Buffer.from("matroska"))),
      Buffer.from([...ID.segment, ...UNKNOWN_SIZE]),
      element(ID.info, element(ID.timestampScale, unsigned(1_000_000))),
      element(ID.tracks, ...entries),
    ]);
  }

  #entry(kind: FedTag["kind"]): Buffer {
    const { number, type, codecId } = TRACKS[kind];
    const header = this.#headers.get(kind);
    return element(
      ID.trackEntry,
      element(ID.trackNumber, unsigned(number)),
      element(ID.trackUid, unsigned(number)),
      element(ID.trackType, unsigned(type)),
      element(ID.codecId, Buffer.from(codecId)),
      ...(header === undefined ? [] : [element(ID.codecPrivate, header)]),
    );
  }
}

/** Returns true if ffmpeg must get tracks of these codecs as Matroska instead of FLV. */
export function needsMatroska(video: string | undefined, audio: string | undefined): boolean {
  return video === "hevc" && (audio === undefined || audio === "aac");
}

interface Body {
  readonly compositionMs: number;
  readonly data: Buffer;
}

/**
 * Reads what follows the header of a tag: the extended header of Enhanced RTMP v2, or the older HEVC header in the form
 * of the AVC header. Returns null if the tag has another codec or no media.
 */
function bodyOf(tag: FedTag): Body | null {
  const { kind, payload } = tag;
  if (codecOf(tag) !== (kind === "video" ? "hevc" : "aac")) return null;
  if (kind === "audio") return { compositionMs: 0, data: payload.subarray(tagDataOffset("audio")) };
  if (payload.length < 9) return null;
  const head = payload.readUInt8(0);
  if ((head & 0x80) === 0) {
    return { compositionMs: tag.sequenceHeader ? 0 : payload.readIntBE(2, 3), data: payload.subarray(5) };
  }
  // PacketType CodedFrames carries a composition time; SequenceStart and CodedFramesX do not.
  const packetType = head & 0x0f;
  if (packetType === 1) return { compositionMs: payload.readIntBE(5, 3), data: payload.subarray(8) };
  return packetType === 0 || packetType === 3 ? { compositionMs: 0, data: payload.subarray(5) } : null;
}

function element(id: readonly number[], ...contents: readonly Buffer[]): Buffer {
  const length = contents.reduce((sum, { length: bytes }) => sum + bytes, 0);
  const size = Buffer.alloc(5);
  size.writeUInt8(0x08, 0);
  size.writeUInt32BE(length, 1);
  return Buffer.concat([Buffer.from(id), size, ...contents]);
}

function unsigned(value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(value, 0, 6);
  return bytes;
}
