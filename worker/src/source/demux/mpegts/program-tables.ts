import type { DemuxedTrack } from "../demuxer.ts";
import { SectionReader } from "./section-reader.ts";
import { trackOfStream } from "./stream-types.ts";

const PAT_PID = 0;
const TABLE_PAT = 0;
const TABLE_PMT = 2;
const CURRENT = 1;
const CRC_BYTES = 4;
/** The most programs and tracks that are read. No real multiplex has more. */
const MAX_PROGRAMS = 128;
const MAX_TRACKS = 64;

interface Program {
  readonly number: number;
  readonly pid: number;
}

/** Follows the program association and map tables, and chooses the first program that has media. */
export class ProgramTables {
  readonly #onTracks: (tracks: readonly DemuxedTrack[]) => void;
  readonly #readers = new Map<number, SectionReader>();
  /**
   * The programs of each section of the association table, by the section's number. A long table has several sections.
   */
  readonly #association = new Map<number, readonly Program[]>();
  #associationVersion = -1;
  #programs: readonly Program[] = [];
  #chosen: number | undefined;
  #told = "";

  constructor(onTracks: (tracks: readonly DemuxedTrack[]) => void) {
    this.#onTracks = onTracks;
    this.#readers.set(PAT_PID, new SectionReader((section) => this.#readAssociation(section)));
  }

  /** Returns the reader of a PID's sections; undefined if the PID carries no table. */
  reader(pid: number): SectionReader | undefined {
    return this.#readers.get(pid);
  }

  /** Drops incomplete sections, because a section does not continue in the next segment. */
  flush(): void {
    for (const reader of this.#readers.values()) reader.lose();
  }

  /** Reads the program association table (ISO/IEC 13818-1, 2.4.4.3). */
  #readAssociation(section: Buffer): void {
    if (!isCurrent(section, TABLE_PAT)) return;
    const version = section.readUInt8(5) >> 1;
    const programs: Program[] = [];
    for (let at = 8; at + 4 <= section.length - CRC_BYTES; at += 4) {
      const number = section.readUInt16BE(at);
      const pid = section.readUInt16BE(at + 2) & 0x1fff;
      // Program number 0 is the network information table.
      if (number !== 0 && pid !== PAT_PID) programs.push({ number, pid });
    }
    if (version !== this.#associationVersion) this.#association.clear();
    this.#associationVersion = version;
    this.#association.set(section.readUInt8(6), programs);
    this.#follow([...this.#association.values()].flat().slice(0, MAX_PROGRAMS));
  }

  #follow(programs: readonly Program[]): void {
    this.#programs = programs;
    const wanted = new Set(programs.map(({ pid }) => pid));
    for (const pid of this.#readers.keys()) if (pid !== PAT_PID && !wanted.has(pid)) this.#readers.delete(pid);
    for (const pid of wanted) {
      if (!this.#readers.has(pid)) {
        this.#readers.set(pid, new SectionReader((section) => this.#readMap(pid, section)));
      }
    }
    if (!programs.some(({ number }) => number === this.#chosen)) this.#chosen = undefined;
  }

  /** Reads a program map table (ISO/IEC 13818-1, 2.4.4.8). */
  #readMap(pid: number, section: Buffer): void {
    if (!isCurrent(section, TABLE_PMT)) return;
    const number = section.readUInt16BE(3);
    if (!this.#programs.some((program) => program.pid === pid && program.number === number)) return;
    if (this.#chosen !== undefined && this.#chosen !== number) return;
    const tracks = tracksOfMap(section);
    if (!tracks.some(({ kind }) => kind !== "other")) return;
    this.#chosen = number;
    const told = JSON.stringify(tracks);
    if (told === this.#told) return;
    this.#told = told;
    this.#onTracks(tracks);
  }
}

function isCurrent(section: Buffer, table: number): boolean {
  return section.length >= 12 && section[0] === table && (section.readUInt8(5) & CURRENT) !== 0;
}

function tracksOfMap(section: Buffer): DemuxedTrack[] {
  const end = section.length - CRC_BYTES;
  const tracks: DemuxedTrack[] = [];
  let at = 12 + (section.readUInt16BE(10) & 0x0fff);
  while (at + 5 <= end && tracks.length < MAX_TRACKS) {
    const pid = section.readUInt16BE(at + 1) & 0x1fff;
    const descriptors = at + 5;
    const next = descriptors + (section.readUInt16BE(at + 3) & 0x0fff);
    if (next > end) break;
    if (tracks.every(({ id }) => id !== pid)) {
      tracks.push(trackOfStream(pid, section.readUInt8(at), section, descriptors, next));
    }
    at = next;
  }
  return tracks;
}
