import { RoomcastError } from "@roomcast/shared";
import { parseRtmpUrl, type RtmpAddress } from "../rtmp/rtmp-address.ts";

/** A push URL and its parts. */
export interface PushAddress extends RtmpAddress {
  readonly url: string;
}

/** @throws RoomcastError `InvalidParameterValue` if the URL is not an RTMP address with a stream. */
export function pushAddress(url: string): PushAddress {
  const address = parseRtmpUrl(url);
  if (address === null || address.streamKey === "") {
    throw new RoomcastError("InvalidParameterValue", "The room's address is no rtmp(s)://host/app/key URL.");
  }
  return { ...address, url };
}

/** Query parameters of a stream key that may appear in an error text. */
const PUBLIC_PARAMETERS = new Set(["sdkappid", "userid", "use_number_room_id"]);

/** Returns the values that must be removed from a room's answer before it is shown. */
export function secretsOfPush({ url, streamKey }: PushAddress): string[] {
  const query = [...(URL.parse(url)?.searchParams ?? [])];
  return [streamKey, ...query.flatMap(([name, value]) => (PUBLIC_PARAMETERS.has(name) ? [] : [value]))];
}
