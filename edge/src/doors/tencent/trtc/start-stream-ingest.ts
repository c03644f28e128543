import { pushRequestSchema, taskUpdateSchema } from "@roomcast/shared";
import { z } from "zod";

const push = pushRequestSchema.shape;
const sourceUrl = taskUpdateSchema.shape.VideoSrc.unwrap();

const ROOM_EXPECTED =
  "a string: an integer from 1 to 4294967294 if RoomIdType is 1 (the default), or 1 to 64 letters, digits or underscores if it is 0";
const LARGEST_ROOM = 4_294_967_294;

const STREAM_URL_EXPECTED = "the URL of the source";
const SOURCE_URLS_EXPECTED = "a list of one URL";

const videoParams = push.VideoEncodeParams.unwrap();
/** The schema of a width or height; 0 means the source's own. */
const side = (size: typeof videoParams.shape.Width) =>
  z.union([z.literal(0), size.unwrap()], "0, or an integer from 2 to the largest size");

/** Returns a schema that accepts only `false`, for a feature that only TRTC's own robot can offer. */
function notHere(why: string) {
  return z.literal(false, `false: ${why}`).optional();
}

/** The schema of `EnableProgress`. Only TRTC's own robot can send progress messages into the room. */
export const enableProgress = notHere("progress is not sent into the room here; GET /v1/tasks/:id has it");

/** The schema of StartStreamIngest's parameters, including the combinations of them that are refused. */
export const startStreamIngestSchema = z
  .strictObject(
    {
      SdkAppId: push.SdkAppId,
      RoomId: z.string(ROOM_EXPECTED),
      RoomIdType: z.literal([0, 1], "0 (a string room) or 1 (an integer room)").default(1),
      UserId: push.UserId,
      UserSig: push.UserSig,
      StreamUrl: sourceUrl.optional(),
      SourceUrl: z.array(sourceUrl, SOURCE_URLS_EXPECTED).length(1, SOURCE_URLS_EXPECTED).optional(),
      PrivateMapKey: push.PrivateMapKey,
      SeekSecond: push.SeekSecond,
      AutoPush: notHere("relaying a room to a CDN is switched on in the console of the application"),
      RepeatNum: push.RepeatNum,
      MaxDuration: push.MaxDuration,
      Volume: push.Volume,
      EnableProgress: enableProgress,
      Tempo: push.Tempo,
      IdleTimeout: push.IdleTimeout,
      VideoEncodeParams: videoParams
        .extend({ Width: side(videoParams.shape.Width).optional(), Height: side(videoParams.shape.Height).optional() })
        .optional(),
      AudioEncodeParams: push.AudioEncodeParams,
    },
    "a JSON object",
  )
  .refine(({ RoomId, RoomIdType }) => isRoom(RoomId, RoomIdType), {
    path: ["RoomId"],
    message: ROOM_EXPECTED,
    when: always,
  })
  .refine(({ StreamUrl, SourceUrl }) => StreamUrl !== undefined || SourceUrl !== undefined, {
    path: ["StreamUrl"],
    message: STREAM_URL_EXPECTED,
    when: always,
  });

/**
 * The condition on which a rule over several fields is checked. It holds even if other fields are wrong, so that all problems
 * are reported at once.
 */
function always({ value }: { value: unknown }): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRoom(room: unknown, type: unknown): boolean {
  if (typeof room !== "string") return false;
  if (type === 0) return push.StrRoomId.unwrap().safeParse(room).success;
  return /^[1-9][0-9]{0,9}$/.test(room) && Number(room) <= LARGEST_ROOM;
}

export type StartStreamIngest = z.output<typeof startStreamIngestSchema>;

/** Converts a call of StartStreamIngest to a push request. Pure; `createPush` validates the rest. */
export function pushOf(call: StartStreamIngest): Record<string, unknown> {
  const { RoomId, RoomIdType, StreamUrl, SourceUrl, AutoPush: _no, EnableProgress: _neither, ...same } = call;
  const VideoSrc = StreamUrl ?? SourceUrl?.[0];
  return {
    ...same,
    VideoSrc,
    ...(RoomIdType === 0 ? { StrRoomId: RoomId } : { RoomId: Number(RoomId) }),
    Mode: VideoSrc !== undefined && /^(?:rtmps?|srt):/i.test(VideoSrc) ? "live" : "vod",
    // Tencent's API applies MaxDuration only to a source that is repeated without end (RepeatNum -1).
    MaxDuration: same.RepeatNum === -1 ? same.MaxDuration : undefined,
    VideoEncodeParams: same.VideoEncodeParams === undefined ? undefined : withoutZeros(same.VideoEncodeParams),
  };
}

function withoutZeros(parameters: object): object {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== 0));
}
