import { type Room, seatKey } from "@roomcast/shared";
import { z } from "zod";

/** TRTC's event callbacks that say something of a push (document 39558, "Room&Media Callbacks"), by EventType. */
const KINDS = {
  101: "created",
  102: "dismissed",
  103: "entered",
  104: "left",
  201: "videoStarted",
  202: "videoStopped",
} as const;
/** EventGroupId of rooms and of media. */
const GROUPS: ReadonlySet<number> = new Set([1, 2]);

/** Why a user has left: TRTC's server took him out. */
const REMOVED = 3;

const bodySchema = z.object({
  EventGroupId: z.int(),
  EventType: z.int(),
  EventInfo: z.object({
    /** A number for an integer room, a text for a string room. */
    RoomId: z.union([z.int().min(1).max(4_294_967_295), z.string().regex(/^[^/\p{Cc}]{1,64}$/u)]),
    EventMsTs: z.number().min(0).optional(),
    /** Seconds. */
    EventTs: z.number().min(0).optional(),
    UserId: z
      .string()
      .regex(/^[^/\p{Cc}]{1,64}$/u)
      .optional(),
    Reason: z.int().optional(),
  }),
});

/** What happened in a room. */
export interface RoomEvent {
  readonly kind: (typeof KINDS)[keyof typeof KINDS];
  readonly room: Room;
  /** Null: it concerns the room. */
  readonly userId: string | null;
  /** By TRTC's clock, Unix ms: events may come in another order. */
  readonly atMs: number;
  /** Of `left`: by the server, not by itself and not because its connection was lost. */
  readonly removed: boolean;
}

/** Reads the body of a callback; null: it is of another kind, or says nothing that concerns pushes. Pure. */
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

/** What the keys of a room's seats begin with. */
export function roomKey(sdkAppId: number, room: Room): string {
  return seatKey({ sdkAppId, room, userId: "" });
}
