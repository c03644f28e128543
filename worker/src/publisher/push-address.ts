import { RoomcastError } from "@roomcast/shared";
import { parseRtmpUrl, type RtmpAddress } from "../rtmp/rtmp-address.ts";

/** A URL and what is in it. */
export interface PushAddress extends RtmpAddress {
  readonly url: string;
}

/** @throws RoomcastError `InvalidParameterValue` for a URL that is no RTMP address with a stream. */
export function pushAddress(url: string): PushAddress {
  const address = parseRtmpUrl(url);
  if (address === null || address.streamKey === "") {
    throw new RoomcastError("InvalidParameterValue", "The room's address is no rtmp(s)://host/app/key URL.");
  }
  return { ...address, url };
}

/** What a stream key's query says that a refusal may repeat. */
const PUBLIC_PARAMETERS = new Set(["sdkappid", "userid", "use_number_room_id"]);

/** What a room's words may not repeat. */
export function secretsOfPush({ url, streamKey }: PushAddress): string[] {
  const query = [...(URL.parse(url)?.searchParams ?? [])];
  return [streamKey, ...query.flatMap(([name, value]) => (PUBLIC_PARAMETERS.has(name) ? [] : [value]))];
}
