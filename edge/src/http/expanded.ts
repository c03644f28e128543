import { unzipSync } from "node:zlib";
import { RoomcastError } from "@roomcast/shared";

/** Both are told apart by their first bytes, so a sender that mixes them up is understood. */
const ENCODINGS: readonly string[] = ["gzip", "x-gzip", "deflate"];

/**
 * A body as it was before its sender compressed it.
 *
 * @param encoding what Content-Encoding says, in lower case
 * @throws RoomcastError `RequestSizeLimitExceeded` when more than so many bytes come out; `InvalidParameter`
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
