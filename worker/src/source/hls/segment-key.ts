import type { AttributeList } from "./attribute-list.ts";

/** The encryption of a segment. */
export type SegmentKey =
  /**
   * AES-128 in CBC mode over the whole segment. If `iv` is null, the initialisation vector is the segment's media
   * sequence number.
   */
  | { readonly method: "AES-128"; readonly uri: string; readonly iv: Buffer | null }
  /** An encryption that Roomcast cannot undo. `name` is used in messages. */
  | { readonly method: "other"; readonly name: string };

const MAX_FORMATS = 16;

/** The keys that apply at one place of a playlist: one per key format (RFC 8216, section 4.3.2.4). */
export class KeysInForce {
  /**
   * The latest key of each key format. At most `MAX_FORMATS` are kept, which is more than real playlists have; the
   * oldest entry is removed first.
   */
  readonly #byFormat = new Map<string, SegmentKey>();
  #current: SegmentKey | null = null;

  get current(): SegmentKey | null {
    return this.#current;
  }

  apply(attributes: AttributeList): void {
    const key = readKey(attributes);
    if (key === null) {
      this.#byFormat.clear();
    } else {
      this.#byFormat.set(attributes.text("KEYFORMAT")?.toLowerCase() ?? "identity", key);
      const [oldest] = this.#byFormat.keys();
      if (this.#byFormat.size > MAX_FORMATS && oldest !== undefined) this.#byFormat.delete(oldest);
    }
    const keys = [...this.#byFormat.values()];
    this.#current = keys.find((one) => one.method === "AES-128") ?? keys.at(-1) ?? null;
  }
}

const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/edef8ba9-79d6-4ace-a3c8-27dcd51d21ed|widevine/i, "Widevine"],
  [/9a04f079-9840-4286-ab92-e65be0885f95|playready/i, "PlayReady"],
  [/com\.apple\.streamingkeydelivery|94ce86fb-07ff-4f43-adb8-93d2fa968ca2|^skd:/i, "FairPlay"],
];

/** Reads the attributes of `EXT-X-KEY` or `EXT-X-SESSION-KEY`. Returns null if they declare no encryption. */
export function readKey(attributes: AttributeList): SegmentKey | null {
  const method = attributes.keyword("METHOD");
  const uri = attributes.text("URI");
  if (method === undefined || method === "NONE") return null;
  const format = attributes.text("KEYFORMAT") ?? "identity";
  const system = SYSTEMS.find(([pattern]) => pattern.test(format) || pattern.test(uri ?? ""))?.[1];
  if (method !== "AES-128" || system !== undefined || format.toLowerCase() !== "identity") {
    const what = /^[A-Z0-9-]{1,32}$/.test(method) ? method : "an unknown method";
    return { method: "other", name: system === undefined ? what : `${what} (${system})` };
  }
  if (uri === undefined) return { method: "other", name: "AES-128 without a key address" };
  return { method: "AES-128", uri, iv: readIv(attributes.text("IV")) };
}

/** Parses a hexadecimal number into 16 bytes. Returns null if the attribute is missing or not such a number. */
function readIv(text: string | undefined): Buffer | null {
  const digits = /^(?:0x)?([0-9a-f]{1,64})$/i.exec(text ?? "")?.[1];
  return digits === undefined ? null : Buffer.from(digits.slice(-32).padStart(32, "0"), "hex");
}

/**
 * Returns the initialisation vector of a segment whose key has no IV attribute: it is the segment's media sequence
 * number (RFC 8216, section 5.2).
 */
export function sequenceIv(sequence: number): Buffer {
  const iv = Buffer.alloc(16);
  iv.writeBigUInt64BE(BigInt(sequence), 8);
  return iv;
}
