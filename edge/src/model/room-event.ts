import { type Room, seatKey } from "@roomcast/shared";
import { z } from "zod";

/** TRTC's event callbacks that concern pushes (document 39558, "Room&Media Callbacks"), by EventType. */
const KINDS = {
  101: "created",
  102: "dismissed",
  103: "entered",
  104: "left",
  201: "videoStarted",
  202: "videoStopped",
} as const;
/** The EventGroupId of room events and of media events. */
const GROUPS: ReadonlySet<number> = new Set([1, 2]);

/** The value of `Reason` in the event of a user whom TRTC's server removed from the room. */
const REMOVED = 3;

const bodySchema = z.object({
  EventGroupId: z.int(),
  EventType: z.int(),
  EventInfo: z.object({
    /** A number for an integer room, a string for a string room. */
    RoomId: z.union([z.int().min(1).max(4_294_967_295), z.string().regex(/^[^/\p{Cc}]{1,64}$/u)]),
    EventMsTs: z.number().min(0).optional(),
    /** Unix time in seconds. */
    EventTs: z.number().min(0).optional(),
    UserId: z
      .string()
      .regex(/^[^/\p{Cc}]{1,64}$/u)
      .optional(),
    Reason: z.int().optional(),
  }),
});

/** An event of a room. */
export interface RoomEvent {
  readonly kind: (typeof KINDS)[keyof typeof KINDS];
  readonly room: Room;
  /** Null if the event concerns the whole room. */
  readonly userId: string | null;
  /** The time of the event by TRTC's clock, Unix ms. Events may arrive out of order. */
  readonly atMs: number;
  /** For `left`: true if the server removed the user. */
  readonly removed: boolean;
}

/** Reads the body of a callback from TRTC. Returns null if the callback does not concern pushes. Pure. */
export function readRoomEvent(body: unknown): RoomEvent | null {
  const parsed = bodySchema.safeParse(body);
  if (!parsed.success || !GROUPS.has(parsed.data.EventGroupId)) return null;
  const { EventType, EventInfo } = parsed.data;
  if (!isKnown(EventType)) return null;
  const { RoomId, EventMsTs, EventTs = 0, UserId = null, Reason } = EventInfo;
  const kind = KINDS[EventType];
  if (UserId === null && kind !== "dismissed" && kind !== "created") return null;
  return {
    kind,
    room: typeof RoomId === "number" ? { kind: "number", id: RoomId } : { kind: "string", id: RoomId },
    userId: kind === "dismissed" || kind === "created" ? null : UserId,
    atMs: EventMsTs ?? EventTs * 1000,
    removed: kind === "left" && Reason === REMOVED,
  };
}

function isKnown(type: number): type is keyof typeof KINDS {
  return type in KINDS;
}

/** Returns the prefix that the keys of all seats in a room share. */
export function roomKey(sdkAppId: number, room: Room): string {
  return seatKey({ sdkAppId, room, userId: "" });
}
