import { z } from "zod";
import { isRedisUrl, portInRedisHost, redisHost } from "./redis-address.ts";
import { regionName } from "./region.ts";
import { MAX_USER_SIG_LENGTH } from "./user-sig.ts";

/** The URL schemes that a source may have. */
const SOURCE_SCHEMES = ["http:", "https:", "rtmp:", "rtmps:", "srt:"] as const;

const SOURCE_EXPECTED = "an http(s)://, rtmp(s):// or srt://host:port URL of at most 2048 characters, without spaces";

/**
 * The URL parser drops tabs and line ends, reads `http:host` as `http://host`, and takes a backslash for a slash. Other
 * programs that get the same text do not, and would connect to another host than the one that was checked.
 */
const PLAIN_URL = /^[a-z]+:\/\/[^\s\\\p{Cc}]+$/iu;

function isSourceUrl(text: string): boolean {
  if (!PLAIN_URL.test(text)) return false;
  const url = URL.parse(text);
  if (url === null || url.hostname === "") return false;
  // SRT has no default port.
  return SOURCE_SCHEMES.some((scheme) => scheme === url.protocol) && (url.protocol !== "srt:" || url.port !== "");
}

function boundedText(maxLength: number, expected: string, pattern?: RegExp) {
  const base = z.string(expected).min(1, expected).max(maxLength, expected);
  return pattern === undefined ? base : base.regex(pattern, expected);
}

function integer(min: number, max: number) {
  const expected = `an integer from ${min} to ${max}`;
  return z.int(expected).min(min, expected).max(max, expected);
}

const sourceUrl = z.string(SOURCE_EXPECTED).max(2048, SOURCE_EXPECTED).refine(isSourceUrl, SOURCE_EXPECTED);

export const sdkAppId = integer(1, 4_294_967_295);

const CALLBACK_URL_EXPECTED = "an https:// URL of at most 2048 characters, without spaces";

/** The URL that events are sent to. The edge's guard decides later if its host may be reached. */
export const callbackUrl = z
  .string(CALLBACK_URL_EXPECTED)
  .max(2048, CALLBACK_URL_EXPECTED)
  .refine((text) => PLAIN_URL.test(text) && /^https?:$/.test(URL.parse(text)?.protocol ?? ""), CALLBACK_URL_EXPECTED);

export const callbackKey = boundedText(128, "1 to 128 letters, digits and signs without spaces", /^[\x21-\x7e]+$/);

/** The events to send: TRTC's 701 and 702 only, or every change of a task's state as well. */
export const callbackEvents = z.enum(["trtc", "all"], '"trtc" or "all"');

const MAX_PLAYLIST = 100;
const PLAYLIST_EXPECTED = `${SOURCE_EXPECTED}, or a list of 1 to ${MAX_PLAYLIST} of them`;

/** One source, or a list of sources that are played one after another. */
const videoSrc = z.union(
  [sourceUrl, z.array(sourceUrl).min(1, PLAYLIST_EXPECTED).max(MAX_PLAYLIST, PLAYLIST_EXPECTED)],
  PLAYLIST_EXPECTED,
);

const REPEATS_EXPECTED = "an integer from 1 to 1000, or -1 to repeat without end";
const repeatNum = z
  .int(REPEATS_EXPECTED)
  .min(-1, REPEATS_EXPECTED)
  .max(1000, REPEATS_EXPECTED)
  .refine((times) => times !== 0, REPEATS_EXPECTED);

const TEMPOS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2] as const;
const tempo = z.literal(TEMPOS, `one of ${TEMPOS.join(", ")}`);

/** Loudness in percent: 100 changes nothing. */
const volume = integer(0, 200);

const MAX_SEEK_S = 7 * 24 * 3600;

const MAX_PRELOADED = 4;
const PRELOAD_EXPECTED = `a list of at most ${MAX_PRELOADED} sources, each ${SOURCE_EXPECTED}`;
const preload = z.array(sourceUrl, PRELOAD_EXPECTED).max(MAX_PRELOADED, PRELOAD_EXPECTED);

const MAX_AUDIO_TRACK = 100;
const AUDIO_TRACK_EXPECTED = `a language such as "en" or "zh-CN", or the number of a sound track from 1 to ${MAX_AUDIO_TRACK}`;
/** A language tag (RFC 5646), or the three letters that MP4 and MPEG-TS write. */
const LANGUAGE_TAG = /^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}$/;

/** Chooses the sound track of a source that is played. */
const audioTrack = z.union(
  // It aborts, so that a text such as "2" fails the union as a whole, whose message says that a number is possible too.
  [z.string().regex(LANGUAGE_TAG, { abort: true }), z.int().min(1).max(MAX_AUDIO_TRACK)],
  AUDIO_TRACK_EXPECTED,
);

const RENDITION_EXPECTED = 'the largest height of the picture, such as "720p", from "64p" to "4320p"';

/** Returns the largest picture height that a rendition allows, such as 720 for `"720p"`. Pure. */
export function renditionHeight(rendition: string): number {
  return Number(rendition.slice(0, -1));
}

/** Chooses the variant of a source that offers several: the best one that is not higher. */
const rendition = z
  .string(RENDITION_EXPECTED)
  .regex(/^[1-9][0-9]{1,3}[pP]$/, RENDITION_EXPECTED)
  .refine((text) => renditionHeight(text) >= 64 && renditionHeight(text) <= 4320, RENDITION_EXPECTED);

const START_AT_EXPECTED = 'a time with its offset such as "2026-12-31T20:15:00+08:00"';

/**
 * The picture and sound that the room gets, in kbit/s, seconds and pixels. Values that are not given follow the source.
 */
const videoEncodeParams = z.strictObject(
  {
    Width: integer(2, 1920).optional(),
    Height: integer(2, 1080).optional(),
    Fps: integer(1, 60).optional(),
    BitRate: integer(1, 10_000).optional(),
    Gop: integer(1, 2).optional(),
  },
  "an object with any of Width, Height, Fps, BitRate, Gop",
);

const audioEncodeParams = z.strictObject(
  {
    SampleRate: z.literal([48_000, 44_100], "48000 or 44100").optional(),
    Channel: integer(1, 2).optional(),
    BitRate: integer(8, 500).optional(),
    Volume: integer(0, 300).optional(),
  },
  "an object with any of SampleRate, Channel, BitRate, Volume",
);

/** Rules between fields run even if single fields are wrong, so that all problems of a request are reported at once. */
const always = ({ value }: { value: unknown }) => typeof value === "object" && value !== null && !Array.isArray(value);

function isGiven(value: unknown): boolean {
  return value !== undefined;
}

/** The fields of a push's request. */
const pushFields = {
  VideoSrc: videoSrc,
  SdkAppId: sdkAppId,
  RoomId: integer(1, 4_294_967_294).optional(),
  StrRoomId: boundedText(64, "1 to 64 letters, digits or underscores", /^[A-Za-z0-9_]+$/).optional(),
  Mode: z.enum(["vod", "live"], '"vod" or "live"').default("vod"),
  UserId: boundedText(32, "1 to 32 letters, digits, hyphens or underscores", /^[A-Za-z0-9_-]+$/),
  UserSig: boundedText(MAX_USER_SIG_LENGTH, `the UserSig of UserId, a text of 1 to ${MAX_USER_SIG_LENGTH} characters`),
  Redis: z.boolean("true or false").default(false),
  RedisHost: redisHost.optional(),
  RedisPort: integer(1, 65_535).optional(),
  RedisPassword: z.string("a text of at most 512 characters").max(512, "a text of at most 512 characters").optional(),
  /** The user of Redis' access control list that the password belongs to. */
  RedisUser: boundedText(128, "1 to 128 characters without spaces", /^[^\s\p{Cc}]+$/u).optional(),
  RedisTls: z.boolean("true or false").optional(),
  /** The number of the database. */
  RedisDb: integer(0, 65_535).optional(),
  Region: regionName.optional(),
  /** The start position in the first source, seconds. */
  SeekSecond: integer(0, MAX_SEEK_S).optional(),
  /** The number of times that all sources are played; -1 repeats them without end. */
  RepeatNum: repeatNum.optional(),
  /** The task ends after this number of minutes. */
  MaxDuration: integer(1, 10_080).optional(),
  Volume: volume.optional(),
  Tempo: tempo.optional(),
  /**
   * Seconds that a source that was on the air, the next item of a list, or a room may be unavailable before the push
   * gives up.
   */
  IdleTimeout: integer(0, 600).optional(),
  VideoEncodeParams: videoEncodeParams.optional(),
  AudioEncodeParams: audioEncodeParams.optional(),
  PrivateMapKey: boundedText(1024, "a text of 1 to 1024 characters").optional(),
  /** Sources that are likely to follow; they are kept ready for a switch. */
  Preload: preload.optional(),
  AudioTrack: audioTrack.optional(),
  Rendition: rendition.optional(),
  /** If an item of a playlist cannot be played, it is passed over (the default), or the push fails. */
  OnItemError: z.enum(["skip", "fail"], '"skip" or "fail"').optional(),
  /** The time at which the first picture is shown; nothing is sent earlier. */
  StartAt: z.iso.datetime({ offset: true, error: START_AT_EXPECTED }).optional(),
  /** Seconds that the task may wait for a worker before it fails. */
  QueueTimeout: integer(1, 86_400).optional(),
  /** Seconds that the push may run, counted from its first picture, before it fails. */
  ExecutionTimeout: integer(1, 604_800).optional(),
  /**
   * The push ends when nobody else was in the room for this number of seconds. Only the room's own events are counted.
   */
  EmptyRoomTimeout: integer(1, 86_400).optional(),
  /** Decides what happens when another task holds the seat. */
  OnConflict: z.enum(["replace", "reject"], '"replace" or "reject"').optional(),
  /** The URL for this push's events; it replaces the URL of the application. */
  CallbackUrl: callbackUrl.optional(),
  /** The key that signs these events. */
  CallbackKey: callbackKey.optional(),
  CallbackEvents: callbackEvents.optional(),
};

/** The values as they were sent, of any type. */
type Sent = Readonly<Partial<Record<keyof typeof pushFields, unknown>>>;

interface CrossFieldRule {
  /** The field that is reported when the rule is broken. */
  readonly field: keyof Sent;
  readonly expected: string;
  readonly holds: (request: Sent) => boolean;
}

/** All rules run as one check, because each check of a schema costs as much as a field. */
const CROSS_FIELD_RULES: readonly CrossFieldRule[] = [
  {
    field: "RoomId",
    expected: "RoomId (an integer room) or StrRoomId (a string room)",
    holds: (request) => isGiven(request.RoomId) || isGiven(request.StrRoomId),
  },
  {
    field: "RedisHost",
    expected: "the host name or address of your Redis, because Redis is true",
    holds: (request) => request.Redis !== true || isGiven(request.RedisHost),
  },
  {
    field: "RedisPort",
    expected: "the port that RedisHost names, or none beside it",
    holds: ({ RedisHost, RedisPort }) => {
      const named = portInRedisHost(RedisHost);
      return named === null || !isGiven(RedisPort) || RedisPort === named;
    },
  },
  {
    field: "RedisTls",
    expected: "true, or none beside a RedisHost that begins with rediss://",
    holds: ({ RedisHost, RedisTls }) => RedisTls !== false || !isRedisUrl(RedisHost),
  },
  {
    field: "CallbackKey",
    expected: "the key that signs the callbacks, because CallbackUrl is given",
    holds: (request) => !isGiven(request.CallbackUrl) || isGiven(request.CallbackKey),
  },
  {
    field: "CallbackUrl",
    expected: "where to send the callbacks, because CallbackKey or CallbackEvents is given",
    holds: (request) =>
      isGiven(request.CallbackUrl) || !(isGiven(request.CallbackKey) || isGiven(request.CallbackEvents)),
  },
];

/**
 * The request that starts a push: the cloud-function template's parameters by their names and types, those of TRTC's
 * StartStreamIngest that make sense here, and a few of our own. If both rooms are given, RoomId is used. Fields that
 * were added after the first version are optional and have no default here, so that stored requests and requests in
 * transit stay as their senders wrote them.
 */
export const pushRequestSchema = z.strictObject(pushFields, "a JSON object").superRefine(
  (request: Sent, context) => {
    for (const { field, expected, holds } of CROSS_FIELD_RULES) {
      if (!holds(request)) context.addIssue({ code: "custom", path: [field], message: expected });
    }
  },
  { when: always },
);

/** A checked request with its defaults filled in. */
export type PushRequest = z.output<typeof pushRequestSchema>;

/** The sources in the order in which they are played; at least one. */
export function sourcesOf(request: Pick<PushRequest, "VideoSrc">): readonly string[] {
  return typeof request.VideoSrc === "string" ? [request.VideoSrc] : request.VideoSrc;
}

/** A change of a running push: the body of `PATCH /v1/tasks/:id`. */
export const taskUpdateSchema = z
  .strictObject(
    {
      /** The new source. It starts at its beginning or at SeekSecond, in the same room and without a gap. */
      VideoSrc: sourceUrl.optional(),
      SeekSecond: z
        .number(`a number from 0 to ${MAX_SEEK_S}`)
        .min(0, `a number from 0 to ${MAX_SEEK_S}`)
        .max(MAX_SEEK_S, `a number from 0 to ${MAX_SEEK_S}`)
        .optional(),
      IsPause: z.boolean("true or false").optional(),
      Volume: volume.optional(),
      Tempo: tempo.optional(),
      Preload: preload.optional(),
      AudioTrack: audioTrack.optional(),
      Rendition: rendition.optional(),
    },
    "a JSON object",
  )
  .refine((update) => Object.keys(update).length > 0, {
    path: [],
    message: "at least one of VideoSrc, SeekSecond, IsPause, Volume, Tempo, Preload, AudioTrack, Rendition",
  });
export type TaskUpdate = z.output<typeof taskUpdateSchema>;
