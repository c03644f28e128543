import { inflateSync } from "node:zlib";
import type { Inflate } from "@roomcast/shared";

/** This works without a stream, which is much faster for short texts such as a UserSig. */
export const inflate: Inflate = (deflated, maxBytes) =>
  new Uint8Array(inflateSync(deflated, { maxOutputLength: maxBytes }));
