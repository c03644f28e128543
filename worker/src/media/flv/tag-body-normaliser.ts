/**
 * Converts the bodies of Enhanced RTMP (Veovera, v1 and v2, "Enhanced Video" and "Enhanced Audio"), which name codecs by a
 * FourCC and may contain several tracks. H.264, AAC and MP3 get the header of Adobe's FLV 10.1, which rooms accept. For other
 * codecs, the extended header is kept, but with only one track.
 */
export class TagBodyNormaliser {
  /** The id of the track that is used. It is the first track that was seen, until track 0 appears. */
  #trackId: number | undefined;

  /**
   * Converts a body.
   *
   * @returns the same body if it has a classic header; null if it contains nothing to play: only other tracks, metadata, or a
   * command, or if it is cut short
   */
  normalise(kind: "audio" | "video", payload: Buffer): Buffer | null {
    if (!isExtended(kind, payload)) return payload;
    const packet = readExtended(kind, payload);
    if (packet === null) return null;
    const track = this.#choose(packet.tracks, packet.packetType);
    return track === undefined ? null : classicBody(kind, payload, { ...packet, ...track });
  }

  #choose(tracks: readonly Track[], packetType: number): Track | undefined {
    const main = tracks.find((track) => track.id === 0);
    // The normaliser changes to track 0 only with a sequence header of track 0, because its pictures could not be decoded
    // without one.
    if (main !== undefined && (this.#trackId === undefined || packetType === PACKET.sequenceStart)) this.#trackId = 0;
    this.#trackId ??= tracks[0]?.id;
    return tracks.find((track) => track.id === this.#trackId);
  }
}

/** The values that VideoPacketType and AudioPacketType have in common. */
const PACKET = { sequenceStart: 0, codedFrames: 1, sequenceEnd: 2 } as const;
const VIDEO_PACKET = { codedFramesX: 3, metadata: 4, multitrack: 6 } as const;
const AUDIO_MULTITRACK = 5;
const MOD_EX = 7;
const MULTITRACK = { oneTrack: 0, manyTracksManyCodecs: 2 } as const;

const EXTENDED_VIDEO_FLAG = 0x80;
const EXTENDED_AUDIO = 9;
const FRAME_TYPE_KEY = 1;
/** "Video info / command frame": no picture follows. */
const FRAME_TYPE_COMMAND = 5;
const FOURCC_BYTES = 4;

/**
 * The codec in the first byte of a classic header: H.264 (7), and AAC (10) and MP3 (2) with the bits of sample rate, sample
 * size and channels, which are always set.
 */
const AVC = 7;
const AAC_HEAD = 0xaf;
const MP3_HEAD = 0x2f;

interface Track {
  readonly id: number;
  readonly fourCc: string;
  readonly data: Buffer;
}

interface ExtendedPacket {
  readonly frameType: number;
  readonly packetType: number;
  readonly tracks: readonly Track[];
  /** True if the payload has one track after a header without extensions, so that it can be passed on unchanged. */
  readonly plain: boolean;
}

function isExtended(kind: "audio" | "video", payload: Buffer): boolean {
  const head = payload[0];
  if (head === undefined) return false;
  return kind === "video" ? (head & EXTENDED_VIDEO_FLAG) !== 0 : head >> 4 === EXTENDED_AUDIO;
}

function readExtended(kind: "audio" | "video", payload: Buffer): ExtendedPacket | null {
  const bytes = new HeaderBytes(payload);
  const head = bytes.uint(1);
  const frameType = kind === "video" ? (head >> 4) & 7 : 0;
  let packetType = head & 0x0f;
  let plain = true;
  while (packetType === MOD_EX && !bytes.cut) {
    plain = false;
    // The byte is the length minus one. If it is 255, the length minus one follows in two more bytes.
    let length = bytes.uint(1) + 1;
    if (length === 256) length = bytes.uint(2) + 1;
    bytes.skip(length);
    packetType = bytes.uint(1) & 0x0f;
  }
  if (kind === "video" && frameType === FRAME_TYPE_COMMAND && packetType !== VIDEO_PACKET.metadata) return null;
  if (packetType === (kind === "video" ? VIDEO_PACKET.multitrack : AUDIO_MULTITRACK)) {
    const types = bytes.uint(1);
    const tracks = readTracks(bytes, types >> 4);
    return tracks === null ? null : { frameType, packetType: types & 0x0f, tracks, plain: false };
  }
  const fourCc = bytes.text(FOURCC_BYTES);
  return bytes.cut ? null : { frameType, packetType, tracks: [{ id: 0, fourCc, data: bytes.rest() }], plain };
}

/**
 * Splits the rest of a multitrack body into tracks.
 *
 * @returns the complete tracks; null if no track is complete
 */
function readTracks(bytes: HeaderBytes, multitrackType: number): readonly Track[] | null {
  const tracks: Track[] = [];
  let fourCc = multitrackType === MULTITRACK.manyTracksManyCodecs ? "" : bytes.text(FOURCC_BYTES);
  do {
    if (multitrackType === MULTITRACK.manyTracksManyCodecs) fourCc = bytes.text(FOURCC_BYTES);
    const id = bytes.uint(1);
    const data = multitrackType === MULTITRACK.oneTrack ? bytes.rest() : bytes.take(bytes.uint(3));
    if (bytes.cut) break;
    tracks.push({ id, fourCc, data });
  } while (multitrackType !== MULTITRACK.oneTrack && !bytes.ended);
  return tracks.length === 0 ? null : tracks;
}

function classicBody(kind: "audio" | "video", payload: Buffer, packet: ExtendedPacket & Track): Buffer | null {
  if (kind === "video" && packet.packetType === VIDEO_PACKET.metadata) return null;
  if (kind === "video" && packet.fourCc === "avc1") return avcBody(packet);
  if (kind === "audio" && packet.fourCc === "mp4a") return aacBody(packet);
  if (kind === "audio" && packet.fourCc === ".mp3") {
    return packet.packetType === PACKET.codedFrames ? Buffer.concat([Buffer.of(MP3_HEAD), packet.data]) : null;
  }
  if (packet.plain) return payload;
  const flag = kind === "video" ? EXTENDED_VIDEO_FLAG | (packet.frameType << 4) : EXTENDED_AUDIO << 4;
  return Buffer.concat([Buffer.of(flag | packet.packetType), Buffer.from(packet.fourCc, "latin1"), packet.data]);
}

/** Returns a body whose VideoTagHeader has AVCPacketType and CompositionTime (Adobe FLV 10.1, E.4.3.1). */
function avcBody({ frameType, packetType, data }: ExtendedPacket & Track): Buffer | null {
  const head = (frameType << 4) | AVC;
  switch (packetType) {
    case PACKET.sequenceStart:
      return Buffer.concat([Buffer.of((FRAME_TYPE_KEY << 4) | AVC, 0, 0, 0, 0), data]);
    case PACKET.sequenceEnd:
      return Buffer.of((FRAME_TYPE_KEY << 4) | AVC, 2, 0, 0, 0);
    case PACKET.codedFrames:
      // The composition time precedes the picture in both formats, so it is part of the data.
      return data.length < 3 ? null : Buffer.concat([Buffer.of(head, 1), data]);
    case VIDEO_PACKET.codedFramesX:
      return Buffer.concat([Buffer.of(head, 1, 0, 0, 0), data]);
    default:
      return null;
  }
}

/**
 * Returns a body whose AudioTagHeader has AACPacketType (E.4.2.1). Returns null for an end of sequence, which AAC does not have
 * there.
 */
function aacBody({ packetType, data }: ExtendedPacket & Track): Buffer | null {
  if (packetType !== PACKET.sequenceStart && packetType !== PACKET.codedFrames) return null;
  return Buffer.concat([Buffer.of(AAC_HEAD, packetType), data]);
}

/** Reads the fields of a header. A number past the end is read as 0, and `cut` becomes true. */
class HeaderBytes {
  cut = false;
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  uint(length: number): number {
    const field = this.take(length);
    return field.length === length ? field.readUIntBE(0, length) : 0;
  }

  text(length: number): string {
    return this.take(length).toString("latin1");
  }

  skip(length: number): void {
    this.take(length);
  }

  /** Returns a view of the next bytes. */
  take(length: number): Buffer {
    const field = this.#bytes.subarray(this.#offset, this.#offset + length);
    if (field.length < length) this.cut = true;
    this.#offset += length;
    return field;
  }

  rest(): Buffer {
    return this.take(Math.max(0, this.#bytes.length - this.#offset));
  }
}
