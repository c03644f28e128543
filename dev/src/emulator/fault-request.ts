import { z } from "zod";

const room = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({ kind: z.literal("number"), id: z.int("an integer") }),
    z.strictObject({ kind: z.literal("string"), id: z.string("a text") }),
  ],
  '{"kind":"number","id":42} or {"kind":"string","id":"class_1"}',
);
const sdkAppId = z.int("an integer");
const userId = z.string("a text");
const seat = z.strictObject({ sdkAppId, room, userId }, '{"sdkAppId":…,"room":{"kind":…,"id":…},"userId":…}');
const shortText = z.string("a text of at most 500 characters").max(500, "a text of at most 500 characters");

/** Body of `POST /faults`. */
export const faultRequestSchema = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({
      kind: z.literal("refuse"),
      scope: z
        .strictObject({ sdkAppId: sdkAppId.optional(), room: room.optional(), userId: userId.optional() })
        .optional(),
      code: shortText.optional(),
      description: shortText.optional(),
      times: z.int("an integer from 1 to 1000").min(1).max(1000).default(1),
    }),
    z.strictObject({ kind: z.enum(["stall", "unstall", "drop"]), seat }),
  ],
  'a JSON object whose kind is "refuse", "stall", "unstall" or "drop"',
);
