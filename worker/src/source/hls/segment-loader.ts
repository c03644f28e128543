import { createDecipheriv } from "node:crypto";
import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { PlaylistSegment } from "./media-playlist.ts";
import { resolveReference } from "./resolve-reference.ts";
import { type SegmentKey, sequenceIv } from "./segment-key.ts";
import { type HlsIo, Transfer, type TransferOptions } from "./transfer.ts";

const MAX_KEY_BYTES = 4096;
const MAX_INIT_BYTES = 8 * 1024 * 1024;
const MAX_CACHED_KEYS = 64;
const MAX_CACHED_INITS = 8;
const AES_BLOCK = 16;

export interface LoadOptions extends TransferOptions {
  readonly segment: PlaylistSegment;
  /** The playlist's address. */
  readonly baseUrl: string;
}

export interface LoadedSegment {
  readonly init: Buffer | null;
  readonly url: string;
  /** Decrypted. May be iterated once. */
  readonly body: AsyncGenerator<Buffer, void, undefined>;
}

/**
 * Reads segments, by ranges if the playlist says so, decrypts them, and reads their keys and initialisation segments.
 */
export class SegmentLoader {
  readonly #io: HlsIo;
  readonly #keys = new Map<string, Buffer>();
  readonly #inits = new Map<string, Buffer>();

  constructor(io: HlsIo) {
    this.#io = io;
  }

  /**
   * Resolves when the segment's body has begun to arrive.
   *
   * @throws RoomcastError if the segment, its key or its initialisation segment cannot be read
   */
  async load(options: LoadOptions): Promise<LoadedSegment> {
    const { segment, baseUrl, signal } = options;
    const url = resolved(segment.uri, baseUrl);
    const key = await this.#cipherKey(segment.key, baseUrl, signal);
    const init = await this.#init(segment, baseUrl, signal);
    const transfer = new Transfer(url, segment.range, options, this.#io);
    await transfer.begin();
    const body = transfer.bytes();
    const iv = segment.key?.method === "AES-128" ? (segment.key.iv ?? sequenceIv(segment.sequence)) : null;
    return { init, url, body: key === null || iv === null ? body : decrypted(body, key, iv) };
  }

  async #init(segment: PlaylistSegment, baseUrl: string, signal: AbortSignal): Promise<Buffer | null> {
    const { map } = segment;
    if (map === null) return null;
    const url = resolved(map.uri, baseUrl);
    const name = `${url} ${map.range?.start ?? ""}-${map.range?.end ?? ""}`;
    const cached = this.#inits.get(name);
    if (cached !== undefined) return cached;
    const key = await this.#cipherKey(map.key, baseUrl, signal);
    const range = map.range ?? undefined;
    const { body } = await this.#io.http.read(url, { signal, range, maxBytes: MAX_INIT_BYTES });
    const iv = map.key?.method === "AES-128" ? (map.key.iv ?? sequenceIv(segment.sequence)) : null;
    const init = key === null || iv === null ? body : await collected(decrypted(once(body), key, iv));
    remember(this.#inits, name, init, MAX_CACHED_INITS);
    return init;
  }

  /** Returns null if the segment is not encrypted. */
  async #cipherKey(key: SegmentKey | null, baseUrl: string, signal: AbortSignal): Promise<Buffer | null> {
    if (key === null) return null;
    if (key.method === "other") throw encryptedError(key.name);
    const url = key.uri.startsWith("data:") ? key.uri : resolved(key.uri, baseUrl);
    const cached = this.#keys.get(url);
    if (cached !== undefined) return cached;
    const bytes = readKeyBytes(await this.#keyDocument(url, signal));
    remember(this.#keys, url, bytes, MAX_CACHED_KEYS);
    return bytes;
  }

  async #keyDocument(url: string, signal: AbortSignal): Promise<Buffer> {
    if (url.startsWith("data:")) return dataUrlBytes(url);
    try {
      return (await this.#io.http.read(url, { signal, maxBytes: MAX_KEY_BYTES })).body;
    } catch (error) {
      signal.throwIfAborted();
      const failure = RoomcastError.from(error);
      throw new RoomcastError(failure.code, `The key of the encrypted stream could not be read: ${failure.message}`, {
        cause: error,
      });
    }
  }
}

/** @throws RoomcastError */
function resolved(reference: string, baseUrl: string): string {
  const url = resolveReference(reference, baseUrl);
  if (url !== null) return url;
  throw new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The HLS playlist contains an address that is not http(s): ${shownUrl(reference)}. Only http and https are supported.`,
  );
}

export function encryptedError(method: string): RoomcastError {
  return new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The HLS stream is encrypted with ${method}. Only AES-128 is supported: give a stream without DRM.`,
  );
}

/** Returns the key's 16 bytes. Some servers send them as hexadecimal digits, or with a line end. */
function readKeyBytes(document: Buffer): Buffer {
  if (document.length >= AES_BLOCK && document.length <= AES_BLOCK + 2) return document.subarray(0, AES_BLOCK);
  const digits = /^\s*(?:0x)?([0-9a-f]{32})\s*$/i.exec(document.subarray(0, 64).toString("latin1"))?.[1];
  if (digits !== undefined && document.length <= 64) return Buffer.from(digits, "hex");
  throw new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The key of the encrypted stream has ${document.length} bytes instead of 16: its server may require a login.`,
  );
}

function dataUrlBytes(url: string): Buffer {
  const comma = url.indexOf(",");
  const data = url.slice(comma + 1);
  if (comma === -1 || data.length > MAX_KEY_BYTES) return Buffer.alloc(0);
  if (/;\s*base64$/i.test(url.slice(0, comma))) return Buffer.from(data, "base64");
  return Buffer.from(
    data.replaceAll(/%([0-9a-f]{2})/gi, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
}

/** Adds an entry, and removes the oldest one if there are too many. */
function remember(cache: Map<string, Buffer>, name: string, value: Buffer, most: number): void {
  cache.set(name, value);
  const [oldest] = cache.keys();
  if (cache.size > most && oldest !== undefined) cache.delete(oldest);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}

async function collected(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Decrypts AES-128-CBC with PKCS7 padding (RFC 8216, section 4.3.2.4). As in players, a wrong or missing padding is
 * kept as data, and an incomplete last block is dropped.
 */
async function* decrypted(
  body: AsyncGenerator<Buffer, void, undefined>,
  key: Buffer,
  iv: Buffer,
): AsyncGenerator<Buffer, void, undefined> {
  const decipher = createDecipheriv("aes-128-cbc", key, iv).setAutoPadding(false);
  let held = Buffer.alloc(0);
  for await (const chunk of body) {
    const plain = decipher.update(chunk);
    if (plain.length === 0) continue;
    if (held.length > 0) yield held;
    // The last block is held back, because only at the end of the body is it known to contain the padding.
    held = Buffer.from(plain.subarray(plain.length - AES_BLOCK));
    if (plain.length > AES_BLOCK) yield plain.subarray(0, plain.length - AES_BLOCK);
  }
  const last = withoutPadding(held);
  if (last.length > 0) yield last;
}

function withoutPadding(block: Buffer): Buffer {
  const length = block.at(-1) ?? 0;
  if (length === 0 || length > AES_BLOCK || length > block.length) return block;
  const padding = block.subarray(block.length - length);
  return padding.every((byte) => byte === length) ? block.subarray(0, block.length - length) : block;
}
