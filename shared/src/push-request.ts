import { z } from "zod";
import { regionName } from "./region.ts";
import { MAX_USER_SIG_LENGTH } from "./user-sig.ts";

/** URL schemes a source may have. */
export const SOURCE_SCHEMES = ["http:", "https:", "rtmp:", "rtmps:"] as const;

const SOURCE_EXPECTED = "an http(s):// or rtmp(s):// URL of at most 2048 characters, without spaces";

/**
 * The URL parser drops tabs and line ends, takes `http:host` for `http://host`, and a backslash for a slash. Others who
 * get the same text do not, and would connect elsewhere than what was checked.
 */
const PLAIN_URL = /^[a-z]+:\/\/[^\s\\\p{Cc}]+$/iu;

function isSourceUrl(text: string): boolean {
  if (!PLAIN_URL.test(text)) return false;
  const url = URL.parse(text);
  return url !== null && url.hostname !== "" && SOURCE_SCHEMES.some((scheme) => scheme === url.protocol);
}

function boundedText(maxLength: number, expected: string, pattern?: RegExp) {
  const base = z.string(expected).min(1, expected).max(maxLength, expected);
  return pattern === undefined ? base : base.regex(pattern, expected);
}

function integer(min: number, max: number) {
  const expected = `an integer from ${min} to ${max}`;
  return z.int(expected).min(min, expected).max(max, expected);
}

/** Cross-field rules run whatever else is wrong, so that all problems of a request come at once. */
const always = ({ value }: { value: unknown }) => typeof value === "object" && value !== null && !Array.isArray(value);

function isGiven(value: unknown): boolean {
  return value !== undefined;
}

/**
 * The request that starts a push: the cloud-function template's parameters, by their names and types, plus `Region`.
 * Where both rooms are given, RoomId is used.
 */
export const pushRequestSchema = z
  .strictObject(
    {
      VideoSrc: z.string(SOURCE_EXPECTED).max(2048, SOURCE_EXPECTED).refine(isSourceUrl, SOURCE_EXPECTED),
      SdkAppId: integer(1, 4_294_967_295),
      RoomId: integer(1, 4_294_967_294).optional(),
      StrRoomId: boundedText(64, "1 to 64 letters, digits or underscores", /^[A-Za-z0-9_]+$/).optional(),
      Mode: z.enum(["vod", "live"], '"vod" or "live"').default("vod"),
      UserId: boundedText(32, "1 to 32 letters, digits, hyphens or underscores", /^[A-Za-z0-9_-]+$/),
      UserSig: boundedText(
        MAX_USER_SIG_LENGTH,
        `the UserSig of UserId, a text of 1 to ${MAX_USER_SIG_LENGTH} characters`,
      ),
      Redis: z.boolean("true or false").default(false),
      RedisHost: boundedText(253, "a host name or address", /^[A-Za-z0-9_.:-]+$/).optional(),
      RedisPort: integer(1, 65_535).optional(),
      RedisPassword: z
        .string("a text of at most 512 characters")
        .max(512, "a text of at most 512 characters")
        .optional(),
      Region: regionName.optional(),
    },
    "a JSON object",
  )
  .refine((request) => isGiven(request.RoomId) || isGiven(request.StrRoomId), {
    path: ["RoomId"],
    message: "RoomId (an integer room) or StrRoomId (a string room)",
    when: always,
  })
  .refine((request) => request.Redis !== true || isGiven(request.RedisHost), {
    path: ["RedisHost"],
    message: "the host name or address of your Redis, because Redis is true",
    when: always,
  })
  .refine((request) => request.Redis !== true || isGiven(request.RedisPort), {
    path: ["RedisPort"],
    message: "the port of your Redis, because Redis is true",
    when: always,
  })
  .refine((request) => request.Redis !== true || isGiven(request.RedisPassword), {
    path: ["RedisPassword"],
    message: 'the password of your Redis, because Redis is true ("" where it has none)',
    when: always,
  });

/** A checked request, its defaults filled in. */
export type PushRequest = z.output<typeof pushRequestSchema>;
