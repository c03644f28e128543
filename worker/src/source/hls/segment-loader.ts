import type { PlaylistSegment } from "./media-playlist.ts";
import { referencedAddress } from "./resolve-reference.ts";
import { SegmentDecryption } from "./segment-decryption.ts";
import { type HlsIo, Transfer, type TransferOptions } from "./transfer.ts";

const MAX_INIT_BYTES = 8 * 1024 * 1024;
const MAX_CACHED_INITS = 8;

export interface LoadOptions extends TransferOptions {
  readonly segment: PlaylistSegment;
  /** The playlist's address. */
  readonly baseUrl: string;
}

export interface LoadedSegment {
  readonly init: Buffer | null;
  readonly url: string;
  /** The decrypted bytes, which may be iterated once. */
  readonly body: AsyncGenerator<Buffer, void, undefined>;
}

/**
 * Reads segments and decrypts them. It also reads the keys and initialisation segments that they need, and requests
 * only a range of a file if the playlist says so.
 */
export class SegmentLoader {
  readonly #io: HlsIo;
  readonly #decryption: SegmentDecryption;
  readonly #inits = new Map<string, Buffer>();

  constructor(io: HlsIo) {
    this.#io = io;
    this.#decryption = new SegmentDecryption(io);
  }

  /**
   * Requests a segment, and resolves when its body has begun to arrive.
   *
   * @throws RoomcastError if the segment, its key or its initialisation segment cannot be read
   */
  async load(options: LoadOptions): Promise<LoadedSegment> {
    const { segment, baseUrl, signal } = options;
    const url = referencedAddress(segment.uri, baseUrl);
    const decrypt = await this.#decryption.prepare({ key: segment.key, sequence: segment.sequence, baseUrl, signal });
    const init = await this.#init(segment, baseUrl, signal);
    const transfer = new Transfer(url, segment.range, options, this.#io);
    await transfer.begin();
    return { init, url, body: decrypt(transfer.bytes()) };
  }

  async #init(segment: PlaylistSegment, baseUrl: string, signal: AbortSignal): Promise<Buffer | null> {
    const { map } = segment;
    if (map === null) return null;
    const url = referencedAddress(map.uri, baseUrl);
    const name = `${url} ${map.range?.start ?? ""}-${map.range?.end ?? ""}`;
    const cached = this.#inits.get(name);
    if (cached !== undefined) return cached;
    const decrypt = await this.#decryption.prepare({ key: map.key, sequence: segment.sequence, baseUrl, signal });
    const range = map.range ?? undefined;
    const { body } = await this.#io.http.read(url, { signal, range, maxBytes: MAX_INIT_BYTES });
    const init = map.key === null ? body : await collected(decrypt(once(body)));
    this.#inits.set(name, init);
    const [oldest] = this.#inits.keys();
    if (this.#inits.size > MAX_CACHED_INITS && oldest !== undefined) this.#inits.delete(oldest);
    return init;
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}

async function collected(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
