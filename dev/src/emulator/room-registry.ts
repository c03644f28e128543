import { type Room, type Seat, seatKey } from "@roomcast/shared";
import type { PushRefusal } from "./push-refusal.ts";
import type { RefusalReport, RoomReport } from "./room-report.ts";
import { type Publish, type PublisherHandle, SeatRecord } from "./seat-record.ts";

/** Which rooms are meant; a part that is left out matches all. */
export interface RoomQuery {
  readonly id: string;
  readonly sdkAppId?: number | undefined;
  readonly kind?: Room["kind"] | undefined;
}

export interface RoomRegistryOptions {
  readonly now: () => number;
  readonly keepsGroup: boolean;
  readonly userIdPerApp: boolean;
}

const MAX_SEATS = 2000;
const KEPT_REFUSALS = 100;

/** All seats that anybody has asked for, in order of first coming; when there are too many, who left first is forgotten. */
export class RoomRegistry {
  readonly #options: RoomRegistryOptions;
  readonly #seats = new Map<string, SeatRecord>();
  #refusals: RefusalReport[] = [];

  constructor(options: RoomRegistryOptions) {
    this.#options = options;
  }

  begin(seat: Seat, handle: PublisherHandle): Publish {
    if (this.#options.userIdPerApp) this.#leaveOtherRooms(seat);
    const record = this.#recordOf(seat);
    // Moves it to the end: the newest last.
    this.#seats.delete(seatKey(seat));
    this.#seats.set(seatKey(seat), record);
    return record.begin(handle);
  }

  #leaveOtherRooms(seat: Seat): void {
    for (const [key, record] of this.#seats) {
      const { sdkAppId, userId } = record.seat;
      if (sdkAppId === seat.sdkAppId && userId === seat.userId && key !== seatKey(seat)) {
        record.putOut("The same UserId has entered another room of the application.");
      }
    }
  }

  /** Notes a refusal; one for a seat that nobody ever held makes no room. */
  refused(seat: Seat | null, refusal: PushRefusal): void {
    if (seat !== null) this.#seats.get(seatKey(seat))?.refused();
    this.#refusals = [...this.#refusals, { atMs: this.#options.now(), seat, ...refusal }].slice(-KEPT_REFUSALS);
  }

  /** The publish that holds a seat now. */
  publishOn(seat: Seat): Publish | undefined {
    return this.#seats.get(seatKey(seat))?.current;
  }

  /** All publishes that last. */
  publishes(): Publish[] {
    return [...this.#seats.values()].flatMap((record) => record.current ?? []);
  }

  get refusals(): readonly RefusalReport[] {
    return this.#refusals;
  }

  /** The room that a query means, if it means exactly one; else how many it means. */
  find(query: RoomQuery): { readonly room: Room; readonly sdkAppId: number } | number {
    const found = this.rooms().filter(
      (room) =>
        room.id === query.id &&
        (query.kind === undefined || query.kind === room.kind) &&
        (query.sdkAppId === undefined || query.sdkAppId === room.sdkAppId),
    );
    const [only] = found;
    if (only === undefined || found.length > 1) return found.length;
    const room: Room =
      only.kind === "number" ? { kind: "number", id: Number(only.id) } : { kind: "string", id: only.id };
    return { room, sdkAppId: only.sdkAppId };
  }

  /** Every room that was published to, the latest first. */
  rooms(): RoomReport[] {
    const rooms = new Map<string, { report: Omit<RoomReport, "users">; records: SeatRecord[] }>();
    for (const record of [...this.#seats.values()].toReversed()) {
      const { sdkAppId, room } = record.seat;
      const key = `${sdkAppId}/${room.kind}/${room.id}`;
      const entry = rooms.get(key) ?? { report: { sdkAppId, kind: room.kind, id: String(room.id) }, records: [] };
      entry.records.push(record);
      rooms.set(key, entry);
    }
    return [...rooms.values()].map(({ report, records }) => ({
      ...report,
      users: records.map((record) => record.report()),
    }));
  }

  #recordOf(seat: Seat): SeatRecord {
    const known = this.#seats.get(seatKey(seat));
    if (known !== undefined) return known;
    if (this.#seats.size >= MAX_SEATS) {
      for (const [key, record] of this.#seats) {
        if (record.current !== undefined) continue;
        this.#seats.delete(key);
        break;
      }
    }
    return new SeatRecord({ ...this.#options, seat });
  }
}
