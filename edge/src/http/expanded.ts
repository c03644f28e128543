import { unzipSync } from "node:zlib";
import { RoomcastError } from "@roomcast/shared";

/** The accepted encodings. The format is recognized by its first bytes, so a sender may confuse the names of the encodings. */
const ENCODINGS: readonly string[] = ["gzip", "x-gzip", "deflate"];

/**
 * Decompresses a body.
 *
 * @param encoding the Content-Encoding in lower case
 * @throws RoomcastError `RequestSizeLimitExceeded` when the result exceeds the limit; `InvalidParameter` when the body cannot
 * be decompressed
 */
export function expanded(bytes: Uint8Array, encoding: string, maxBytes: number): Uint8Array {
  if (!ENCODINGS.includes(encoding)) {
    const shown = /^[a-z0-9, _-]{1,40}$/.test(encoding) ? ` ${encoding}` : "";
    throw new RoomcastError(
      "InvalidParameter",
      `The Content-Encoding${shown} is not known here: send plain JSON without Content-Encoding, or compress it by gzip.`,
    );
  }
  try {
    return unzipSync(bytes, { maxOutputLength: maxBytes });
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new RoomcastError("RequestSizeLimitExceeded", `The body is longer than ${maxBytes} bytes.`, { cause });
    }
    throw new RoomcastError(
      "InvalidParameter",
      `The body is not what its Content-Encoding says (${encoding}): send plain JSON without Content-Encoding, or compress it by gzip.`,
      { cause },
    );
  }
}
