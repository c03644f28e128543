import { listBoxes } from "./box.ts";

/** The entries of a track's tables. A table that is left out gets one ordinary entry. */
export interface WrittenTables {
  /** The entries of stts: count and duration. */
  readonly durations?: readonly (readonly [count: number, duration: number])[];
  readonly sampleCount?: number;
  readonly fixedSize?: number;
  readonly sizes?: readonly number[];
  /** The entries of stsc: first chunk and samples per chunk. */
  readonly chunkRuns?: readonly (readonly [first: number, perChunk: number])[];
  readonly chunkOffsets?: readonly number[];
  /** The track gets no stss if this is absent. */
  readonly syncSamples?: readonly number[];
}

/** Makes a box with a body. */
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

/** Makes a full box with a count and entries. */
function table(type: string, entries: readonly (readonly number[])[]): Buffer {
  return box(type, numbers([0, entries.length]), numbers(entries.flat()));
}

/**
 * Copies a movie box's body with other sample tables and without edit lists and user data.
 *
 * @param moov the body of the movie box of a file with a video and an audio track, in this order
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

/** Copies a file whose index is at its end, with other edits (duration and media time) of one track. */
export function withEdits(
  mp4: Buffer,
  track: number,
  edits: readonly (readonly [duration: number, mediaTime: number])[],
): Buffer {
  const elst = box("elst", numbers([0, edits.length]), ...edits.map((edit) => numbers([...edit, 0x0001_0000])));
  let at = 0;
  return rebuilt(mp4, "moov", (moov) =>
    rebuilt(moov, "trak", (trak) => {
      const isMeant = at === track;
      at += 1;
      if (!isMeant) return trak;
      const kept = childrenOf(trak, 0, trak.length).flatMap(([type, , whole]) => (type === "edts" ? [] : [whole]));
      return Buffer.concat([...kept, box("edts", elst)]);
    }),
  );
}

/** Copies a file, and marks the samples of one track as encrypted by `scheme`. */
export function asEncrypted(mp4: Buffer, track: number, scheme: string): Buffer {
  let at = 0;
  const visual = ["moov", "trak", "mdia", "minf", "stbl", "stsd"];
  const into = (bytes: Buffer, depth: number): Buffer => {
    const type = visual[depth];
    if (type === undefined) {
      return Buffer.concat([bytes.subarray(0, 8), rebuiltEntry(bytes.subarray(8), scheme)]);
    }
    return rebuilt(bytes, type, (body) => {
      if (type !== "trak") return into(body, depth + 1);
      const isMeant = at === track;
      at += 1;
      return isMeant ? into(body, depth + 1) : body;
    });
  };
  return into(mp4, 0);
}

function rebuiltEntry(entry: Buffer, scheme: string): Buffer {
  const [[type, body] = ["", Buffer.alloc(0)]] = childrenOf(entry, 0, entry.length);
  const schm = Buffer.concat([numbers([0]), Buffer.from(scheme, "latin1"), numbers([0x0001_0000])]);
  const sinf = box("sinf", box("frma", Buffer.from(type, "latin1")), box("schm", schm));
  return box(type === "avc1" ? "encv" : "enca", body, sinf);
}

/** Rewrites the bodies of all boxes of a type on one level. */
function rebuilt(bytes: Buffer, type: string, change: (body: Buffer) => Buffer): Buffer {
  const parts = childrenOf(bytes, 0, bytes.length);
  return Buffer.concat(parts.map(([found, body, whole]) => (found === type ? box(type, change(body)) : whole)));
}
