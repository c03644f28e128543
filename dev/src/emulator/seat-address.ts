import type { Seat } from "@roomcast/shared";
import { HttpProblem } from "./http-problem.ts";
import type { RoomQuery } from "./room-registry.ts";

/** The parameters of a query that find a room. */
export interface RoomFinder {
  findRoom(query: RoomQuery): Pick<Seat, "room" | "sdkAppId"> | number;
}

/** Reads `sdkappid` and `kind` of a URL's query. */
export function readRoomQuery(id: string, query: URLSearchParams): RoomQuery {
  const kind = query.get("kind") ?? undefined;
  if (kind !== undefined && kind !== "number" && kind !== "string") {
    throw new HttpProblem(400, 'kind is invalid: expected "number" or "string".');
  }
  const appText = query.get("sdkappid") ?? undefined;
  if (appText !== undefined && !/^[0-9]{1,10}$/.test(appText)) {
    throw new HttpProblem(400, "sdkappid is invalid: expected an integer.");
  }
  return { id, kind, sdkAppId: appText === undefined ? undefined : Number(appText) };
}

/** The one room that a URL means. */
export function findOneRoom(rooms: RoomFinder, query: RoomQuery): Pick<Seat, "room" | "sdkAppId"> {
  const found = rooms.findRoom(query);
  if (typeof found !== "number") return found;
  if (found === 0) throw new HttpProblem(404, `Nobody has published to a room "${query.id}" yet.`);
  throw new HttpProblem(
    409,
    `${found} rooms are called "${query.id}": say which with ?sdkappid=… and ?kind=number or ?kind=string.`,
  );
}
