import { shownText } from "@roomcast/shared";
import { isReadableName, type RtmpAddress } from "../../rtmp/rtmp-address.ts";
import type { RtmpStatus } from "../../rtmp/rtmp-client.ts";

/** A server's words for an error's text, without what in its own address may be a secret. */
export function shownWords(status: RtmpStatus, { app, streamKey }: RtmpAddress): string {
  const words = [status.code, status.description].filter((part) => part !== "").join(": ");
  // Everything behind a question mark may be a secret, wherever in the URL it stands.
  const parameters = [app, streamKey].flatMap((text) => text.split("?").slice(1)).flatMap((text) => text.split("&"));
  const values = parameters.map((parameter) => parameter.slice(parameter.indexOf("=") + 1));
  const name = streamKey.replace(/\?.*$/s, "").split("/").at(-1) ?? "";
  const keys = [streamKey.includes("?") ? streamKey : "", isReadableName(name) ? "" : name];
  const secrets = [...parameters, ...values, ...keys];
  return shownText(words, [...secrets, ...secrets.map(decoded)]).slice(0, 500) || "it gave no reason";
}

/** Percent-decoded; what is not properly encoded stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
