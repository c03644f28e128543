import { inflateSync } from "node:zlib";
import type { Inflate } from "@roomcast/shared";

/** Without a stream: for a UserSig, which is short, that takes a small part of the time. */
export const inflate: Inflate = (deflated, maxBytes) =>
  new Uint8Array(inflateSync(deflated, { maxOutputLength: maxBytes }));
