import { Readable, type Transform } from "node:stream";
import zlib from "node:zlib";

/**
 * The codings that can be undone. A body is decoded only if its first bytes look like the coding that its header names.
 */
type Coding = "gzip" | "deflate" | "br" | "zstd";

const NAMES: Readonly<Record<string, Coding>> = {
  gzip: "gzip",
  "x-gzip": "gzip",
  deflate: "deflate",
  br: "br",
  zstd: "zstd",
};
/** The most codings that one body may have. No honest server applies more. */
const MAX_CODINGS = 3;
/** The number of first bytes that show whether a body has the coding that its header names. */
const LOOK_AT_BYTES = 512;
const MAX_TRIAL_BYTES = 256 * 1024;

/**
 * Returns the codings of a `Content-Encoding` in the order in which they were applied. The list is empty if the header
 * names no coding or an unknown one. For example, files that were uploaded with `aws-chunked` keep that header although
 * the stored file is not coded.
 */
export function readContentEncoding(header: string | undefined): readonly Coding[] {
  const names = (header ?? "").split(",").map((name) => name.trim().toLowerCase());
  const codings = names.filter((name) => name !== "" && name !== "identity").map((name) => NAMES[name]);
  const known = codings.filter((coding) => coding !== undefined);
  return known.length === codings.length && known.length <= MAX_CODINGS ? known : [];
}

export interface Decoded {
  readonly chunks: AsyncIterator<Buffer>;
  /** False if the bytes do not have the coding that the header named; they are then passed on unchanged. */
  readonly truthful: boolean;
}

/**
 * Undoes content codings, the last one first. It keeps backpressure, so that a decompression bomb does not fill the
 * memory.
 */
export async function decode(chunks: AsyncIterator<Buffer>, codings: readonly Coding[]): Promise<Decoded> {
  let current = chunks;
  let truthful = false;
  for (const coding of codings.toReversed()) {
    const { head, rest } = await lookAt(current);
    const decoder = DECODERS[coding](head);
    if (decoder === undefined) return { chunks: rest, truthful };
    current = through(rest, decoder);
    truthful = true;
  }
  return { chunks: current, truthful };
}

async function lookAt(
  chunks: AsyncIterator<Buffer>,
): Promise<{ readonly head: Buffer; readonly rest: AsyncGenerator<Buffer, undefined> }> {
  let head = Buffer.alloc(0);
  while (head.length < LOOK_AT_BYTES) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  return { head, rest: startingWith(head, chunks) };
}

async function* startingWith(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, undefined> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/**
 * The functions that make decoders. Each returns a decoder, or undefined if the bytes do not begin as the coding
 * requires.
 */
const DECODERS: Readonly<Record<Coding, (head: Buffer) => Transform | undefined>> = {
  gzip: (head) => (head.length >= 3 && head.readUIntBE(0, 3) === 0x1f8b08 ? zlib.createGunzip() : undefined),
  zstd: (head) => (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528 ? zlib.createZstdDecompress() : undefined),
  br: (head) => {
    const options = { finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH, maxOutputLength: MAX_TRIAL_BYTES };
    return decodes(() => zlib.brotliDecompressSync(head, options)) ? zlib.createBrotliDecompress() : undefined;
  },
  deflate: (head) => {
    const options = { finishFlush: zlib.constants.Z_SYNC_FLUSH, maxOutputLength: MAX_TRIAL_BYTES };
    if (decodes(() => zlib.inflateSync(head, options))) return zlib.createInflate();
    // Some servers send the bare deflate stream without zlib's frame (RFC 9110, section 8.4.1.2).
    return decodes(() => zlib.inflateRawSync(head, options)) ? zlib.createInflateRaw() : undefined;
  },
};

/** Returns true if a trial gives any output. Output beyond the limit counts as well. */
function decodes(trial: () => Buffer): boolean {
  try {
    return trial().length > 0;
  } catch (error) {
    return Reflect.get(Object(error), "code") === "ERR_BUFFER_TOO_LARGE";
  }
}

/** Thrown if a coded body is damaged or ends too early. */
export class BadCodingError extends Error {
  override readonly name = "BadCodingError";
}

async function* through(
  chunks: AsyncGenerator<Buffer, undefined>,
  decoder: Transform,
): AsyncGenerator<Buffer, undefined> {
  const encoded = Readable.from(chunks);
  let lost: Error | undefined;
  encoded.once("error", (error) => {
    lost = error;
    decoder.destroy(error);
  });
  encoded.pipe(decoder);
  try {
    for await (const chunk of decoder) yield chunk;
  } catch (cause) {
    throw lost ?? new BadCodingError("decoding failed", { cause });
  } finally {
    encoded.destroy();
    decoder.destroy();
  }
}
