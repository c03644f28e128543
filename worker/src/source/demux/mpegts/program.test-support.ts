import { crc32 } from "./section-reader.ts";

export interface WrittenStream {
  readonly pid: number;
  readonly type: number;
  readonly descriptors?: readonly (readonly [tag: number, body: string])[];
}

function section(tableId: number, id: number, version: number, body: Buffer, number = 0, last = 0): Buffer {
  const length = body.length + 9;
  const head = Buffer.from([
    tableId,
    0xb0 | (length >> 8),
    length & 0xff,
    id >> 8,
    id & 0xff,
    0xc1 | (version << 1),
    number,
    last,
  ]);
  const whole = Buffer.concat([head, body, Buffer.alloc(4)]);
  whole.writeUInt32BE(crc32(whole.subarray(0, -4)), whole.length - 4);
  return whole;
}

function word(value: number): number[] {
  return [value >> 8, value & 0xff];
}

/** Writes a program association section of pairs of program number and PID of its map. */
export function pat(
  programs: readonly (readonly [number, number])[],
  version = 0,
  part: readonly [number, number] = [0, 0],
): Buffer {
  const body = Buffer.from(programs.flatMap(([number, pid]) => [...word(number), ...word(0xe000 | pid)]));
  return section(0, 1, version, body, ...part);
}

export function pmt(program: number, streams: readonly WrittenStream[], version = 0): Buffer {
  const body = streams.map(({ pid, type, descriptors = [] }) => {
    const written = Buffer.concat(
      descriptors.map(([tag, text]) => Buffer.from([tag, text.length, ...Buffer.from(text, "latin1")])),
    );
    return Buffer.concat([Buffer.from([type, ...word(0xe000 | pid), ...word(0xf000 | written.length)]), written]);
  });
  return section(2, program, version, Buffer.concat([Buffer.from([0xff, 0xff, 0xf0, 0]), ...body]));
}

/** Writes sections, or a PES packet, into packets of a PID. Counters continue from `counter`. */
export function packets(pid: number, bytes: Buffer, counter = 0, bits: { readonly scrambled?: boolean } = {}): Buffer {
  const made: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 184) {
    const payload = bytes.subarray(at, at + 184);
    const stuffing = 184 - payload.length;
    const field =
      stuffing === 0 ? [] : [stuffing - 1, ...(stuffing > 1 ? [0, ...Array<number>(stuffing - 2).fill(0xff)] : [])];
    const control =
      (bits.scrambled === true ? 0x80 : 0) | (stuffing === 0 ? 0x10 : 0x30) | ((counter + made.length) & 15);
    made.push(
      Buffer.concat([Buffer.from([0x47, (at === 0 ? 0x40 : 0) | (pid >> 8), pid & 0xff, control, ...field]), payload]),
    );
  }
  return Buffer.concat(made);
}

/** Writes sections after a pointer field of 0 and adds padding like a muxer. */
export function sections(pid: number, ...all: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.of(0), ...all]);
  return packets(pid, Buffer.concat([bytes, Buffer.alloc((184 - (bytes.length % 184)) % 184, 0xff)]));
}

function time(prefix: number, ticks: number): number[] {
  const high = Math.floor(ticks / 2 ** 30) & 7;
  const middle = Math.floor(ticks / 2 ** 15) & 0x7fff;
  return [(prefix << 4) | (high << 1) | 1, ...word((middle << 1) | 1), ...word(((ticks & 0x7fff) << 1) | 1)];
}

/** Writes a PES packet without a length; times in ticks are omitted if undefined. */
export function pes(streamId: number, data: Buffer, pts?: number, dts?: number): Buffer {
  const times = pts === undefined ? [] : dts === undefined ? time(2, pts) : [...time(3, pts), ...time(1, dts)];
  const flags = pts === undefined ? 0 : dts === undefined ? 0x80 : 0xc0;
  return Buffer.concat([Buffer.from([0, 0, 1, streamId, 0, 0, 0x80, flags, times.length, ...times]), data]);
}
