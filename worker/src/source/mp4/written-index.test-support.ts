import { listBoxes } from "./box.ts";

/** What the tables of a written track claim; whatever is left out is one ordinary entry. */
export interface WrittenTables {
  /** Four entries of the table each: stts (count, duration). */
  readonly durations?: readonly (readonly [count: number, duration: number])[];
  readonly sampleCount?: number;
  readonly fixedSize?: number;
  readonly sizes?: readonly number[];
  /** stsc: first chunk, samples per chunk. */
  readonly chunkRuns?: readonly (readonly [first: number, perChunk: number])[];
  readonly chunkOffsets?: readonly number[];
  /** Absent: no stss. */
  readonly syncSamples?: readonly number[];
}

/** A box with a body. */
export function box(type: string, ...body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(8 + body.reduce((sum, part) => sum + part.length, 0));
  header.write(type, 4, "latin1");
  return Buffer.concat([header, ...body]);
}

export function numbers(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32BE(value, index * 4));
  return bytes;
}

/** A full box with a count and entries. */
function table(type: string, entries: readonly (readonly number[])[]): Buffer {
  return box(type, numbers([0, entries.length]), numbers(entries.flat()));
}

/**
 * A copy of a movie box's body (no more than its tracks) with other sample tables and no edit lists.
 *
 * @param moov of a file with a video and an audio track, in this order
 */
export function withTables(moov: Buffer, video: WrittenTables, audio: WrittenTables): Buffer {
  const written = [video, audio];
  let track = 0;
  const parts = childrenOf(moov, 0, moov.length).flatMap(([type, body, whole]) => {
    if (type !== "trak") return type === "udta" ? [] : [whole];
    const tables = written[track];
    track += 1;
    return tables === undefined ? [] : [box("trak", rewritten(body, tables))];
  });
  return Buffer.concat(parts);
}

function rewritten(body: Buffer, tables: WrittenTables): Buffer {
  const parts = childrenOf(body, 0, body.length).map(([type, inner, whole]) => {
    if (type === "edts") return Buffer.alloc(0);
    if (type === "mdia" || type === "minf") return box(type, rewritten(inner, tables));
    return type === "stbl" ? box("stbl", tablesOf(inner, tables)) : whole;
  });
  return Buffer.concat(parts);
}

function tablesOf(stbl: Buffer, tables: WrittenTables): Buffer {
  const [, , stsd] = childrenOf(stbl, 0, stbl.length).find(([type]) => type === "stsd") ?? [];
  const { sizes, fixedSize = 0, durations, chunkRuns, chunkOffsets, syncSamples } = tables;
  const sampleCount = tables.sampleCount ?? sizes?.length ?? 1;
  return Buffer.concat([
    stsd ?? Buffer.alloc(0),
    table("stts", durations ?? [[sampleCount, 512]]),
    box("stsz", numbers([0, fixedSize, sampleCount]), numbers(sizes ?? [])),
    table(
      "stsc",
      (chunkRuns ?? [[1, sampleCount]]).map((run) => [...run, 1]),
    ),
    table(
      "stco",
      (chunkOffsets ?? [1000]).map((offset) => [offset]),
    ),
    ...(syncSamples === undefined
      ? []
      : [
          table(
            "stss",
            syncSamples.map((number) => [number]),
          ),
        ]),
  ]);
}

function childrenOf(bytes: Buffer, start: number, end: number): [type: string, body: Buffer, whole: Buffer][] {
  return listBoxes(bytes, start, end).map((one) => [
    one.type,
    bytes.subarray(one.start, one.end),
    bytes.subarray(one.start - 8, one.end),
  ]);
}
