import { shownText } from "@roomcast/shared";
import { isReadableName, type RtmpAddress } from "../../rtmp/rtmp-address.ts";
import type { RtmpStatus } from "../../rtmp/rtmp-client.ts";

/** Returns a server's text for an error message, without the parts of the source's address that may be secret. */
export function shownWords(status: RtmpStatus, { app, streamKey }: RtmpAddress): string {
  const words = [status.code, status.description].filter((part) => part !== "").join(": ");
  // Everything after a question mark may be a secret, in the app and in the stream.
  const parameters = [app, streamKey].flatMap((text) => text.split("?").slice(1)).flatMap((text) => text.split("&"));
  const values = parameters.map((parameter) => parameter.slice(parameter.indexOf("=") + 1));
  const name = streamKey.replace(/\?.*$/s, "").split("/").at(-1) ?? "";
  const keys = [streamKey.includes("?") ? streamKey : "", isReadableName(name) ? "" : name];
  const secrets = [...parameters, ...values, ...keys];
  return shownText(words, [...secrets, ...secrets.map(decoded)]).slice(0, 500) || "it gave no reason";
}

/** Decodes percent-encoding; returns invalid text unchanged. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
