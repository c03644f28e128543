import { AdtsStream } from "../adts-stream.ts";
import { Clock33 } from "../clock-33.ts";
import type { DemuxedTrack, Demuxer, DemuxerOptions } from "../demuxer.ts";
import type { ElementaryStream } from "../elementary-stream.ts";
import { H264Stream } from "../h264-stream.ts";
import { PACKET_BYTES, PacketReader } from "./packet-reader.ts";
import { PesLane } from "./pes-lane.ts";
import { ProgramTables } from "./program-tables.ts";
import type { SectionReader } from "./section-reader.ts";

/** The name of the encryption of pay channels. Their packets do not name the system that holds the key. */
const SCRAMBLED = "transport scrambling";
/** The number of consecutive scrambled packets that counts as encryption; a single bit may be an error. */
const SURELY_SCRAMBLED = 8;

interface Lane {
  readonly track: DemuxedTrack;
  readonly pes: PesLane;
}

/** Reads an MPEG transport stream (ISO/IEC 13818-1). Only the tracks of the first program with media are read. */
export class TsDemuxer implements Demuxer {
  readonly #options: DemuxerOptions;
  readonly #packets = new PacketReader((bytes, at) => this.#take(bytes, at));
  readonly #tables = new ProgramTables((tracks) => this.#announce(tracks));
  readonly #clock = new Clock33();
  #tracks: readonly DemuxedTrack[] = [];
  #lanes = new Map<number, Lane>();
  /** Scrambled packets in a row, by PID of the tracks. */
  readonly #scrambled = new Map<number, number>();

  constructor(options: DemuxerOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    this.#packets.push(chunk);
  }

  flush(): void {
    this.#packets.flush();
    this.#tables.flush();
    for (const lane of this.#lanes.values()) lane.pes.flush();
  }

  #take(bytes: Buffer, at: number): void {
    const second = bytes[at + 1] ?? 0;
    // If transport_error_indicator is set, nothing in the packet can be trusted, not even its PID.
    if ((second & 0x80) !== 0) return;
    const pid = ((second & 0x1f) << 8) | (bytes[at + 2] ?? 0);
    const lane = this.#lanes.get(pid);
    const scrambled = ((bytes[at + 3] ?? 0) & 0xc0) !== 0;
    if (scrambled) this.#countScrambled(pid, lane);
    else if (lane !== undefined) this.#takeMedia(lane, bytes, at);
    else takeTable(this.#tables.reader(pid), bytes, at);
  }

  #takeMedia(lane: Lane, bytes: Buffer, at: number): void {
    if (this.#scrambled.size > 0) this.#scrambled.delete(lane.track.id);
    lane.pes.packet(bytes, at);
  }

  #countScrambled(pid: number, lane: Lane | undefined): void {
    lane?.pes.lose();
    const track = this.#tracks.find(({ id }) => id === pid);
    if (track === undefined || track.encryption !== undefined) return;
    const count = (this.#scrambled.get(pid) ?? 0) + 1;
    this.#scrambled.set(pid, count);
    if (count < SURELY_SCRAMBLED) return;
    this.#announce(this.#tracks.map((one) => (one === track ? { ...one, encryption: SCRAMBLED } : one)));
  }

  #announce(tracks: readonly DemuxedTrack[]): void {
    const old = this.#lanes;
    this.#tracks = tracks;
    this.#scrambled.clear();
    this.#lanes = new Map();
    // The tags of ended tracks are given before the new tracks are announced.
    for (const lane of old.values()) if (!tracks.some((track) => isSame(track, lane.track))) lane.pes.flush();
    const choice = this.#options.onTracks(tracks);
    for (const track of tracks) {
      if (track.id !== (track.kind === "video" ? choice.video : choice.audio)) continue;
      const before = old.get(track.id);
      const stream = this.#streamOf(track);
      if (before !== undefined && isSame(track, before.track)) this.#lanes.set(track.id, before);
      else if (stream !== undefined) this.#lanes.set(track.id, { track, pes: new PesLane(stream, this.#clock) });
    }
  }

  #streamOf({ codec, encryption }: DemuxedTrack): ElementaryStream | undefined {
    if (encryption !== undefined) return undefined;
    if (codec === "h264") return new H264Stream(this.#options);
    return codec === "aac" ? new AdtsStream(this.#options.onTag) : undefined;
  }
}

/** Returns true if two tracks have media of the same form. */
function isSame(one: DemuxedTrack, other: DemuxedTrack): boolean {
  return one.id === other.id && one.codec === other.codec && one.encryption === other.encryption;
}

function takeTable(reader: SectionReader | undefined, bytes: Buffer, at: number): void {
  if (reader === undefined) return;
  const control = bytes[at + 3] ?? 0;
  if ((control & 0x10) === 0) return;
  const start = at + 4 + ((control & 0x20) === 0 ? 0 : 1 + (bytes[at + 4] ?? 0));
  const end = at + PACKET_BYTES;
  if (start < end) reader.packet(bytes, start, end, ((bytes[at + 1] ?? 0) & 0x40) !== 0);
}
