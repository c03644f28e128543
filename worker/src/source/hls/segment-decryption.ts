import { createDecipheriv } from "node:crypto";
import { RoomcastError } from "@roomcast/shared";
import { referencedAddress } from "./resolve-reference.ts";
import { type SegmentKey, sequenceIv } from "./segment-key.ts";
import type { HlsIo } from "./transfer.ts";

const MAX_KEY_BYTES = 4096;
const MAX_CACHED_KEYS = 64;
const AES_BLOCK = 16;

export interface CipherOptions {
  readonly key: SegmentKey | null;
  /** The segment's media sequence number, which is the initialisation vector if the key has none. */
  readonly sequence: number;
  /** The playlist's address. */
  readonly baseUrl: string;
  readonly signal: AbortSignal;
}

/** Decrypts bytes as they arrive. The body may be iterated once. */
export type Decrypt = (body: AsyncGenerator<Buffer, void, undefined>) => AsyncGenerator<Buffer, void, undefined>;

/** Loads the keys of encrypted segments, keeps the latest ones, and decrypts with them. */
export class SegmentDecryption {
  readonly #io: HlsIo;
  readonly #keys = new Map<string, Buffer>();

  constructor(io: HlsIo) {
    this.#io = io;
  }

  /**
   * Resolves to a function that decrypts a segment. For a segment without a key, the function leaves the bytes
   * unchanged.
   *
   * @throws RoomcastError if the key cannot be read or its method is not supported
   */
  async prepare({ key, sequence, baseUrl, signal }: CipherOptions): Promise<Decrypt> {
    if (key === null) return (body) => body;
    if (key.method === "other") throw encryptedError(key.name);
    const bytes = await this.#key(key.uri.startsWith("data:") ? key.uri : referencedAddress(key.uri, baseUrl), signal);
    const iv = key.iv ?? sequenceIv(sequence);
    return (body) => decrypted(body, bytes, iv);
  }

  async #key(url: string, signal: AbortSignal): Promise<Buffer> {
    const cached = this.#keys.get(url);
    if (cached !== undefined) return cached;
    const bytes = readKeyBytes(await this.#keyDocument(url, signal));
    this.#keys.set(url, bytes);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > MAX_CACHED_KEYS && oldest !== undefined) this.#keys.delete(oldest);
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

export function encryptedError(method: string): RoomcastError {
  return new RoomcastError(
    "FailedOperation.SourceUnsupported",
    `The HLS stream is encrypted with ${method}. Only AES-128 is supported: give a stream without DRM.`,
  );
}

/** Returns the key's 16 bytes. Some servers send them as hexadecimal digits, or followed by a line end. */
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
    // The last block is held back, because it contains the padding if the body ends here.
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
