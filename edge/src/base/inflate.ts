import { inflateSync } from "node:zlib";
import type { Inflate } from "@roomcast/shared";

/** Inflates data in one call. For short data, such as a UserSig, this is much faster than a stream. */
export const inflate: Inflate = (deflated, maxBytes) =>
  new Uint8Array(inflateSync(deflated, { maxOutputLength: maxBytes }));
