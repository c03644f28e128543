import { mintUserSig, type Room } from "@roomcast/shared";
import { type PushHosts, trtcPushUrls } from "@roomcast/worker/trtc-push-address";
import type { CheckClips, Clip } from "./check-clips.ts";
import { type Outcome, pushOnce } from "./push-attempt.ts";

export interface TrtcCheckTarget {
  readonly sdkAppId: number;
  readonly secretKey: string;
  readonly room: string;
  readonly numberRoom: number;
  /** `rtmp(s)://host[:port]/app`; undefined for TRTC's own. */
  readonly base: string | undefined;
  readonly backupBase: string | undefined;
}

export interface CheckContext {
  readonly target: TrtcCheckTarget;
  readonly clips: CheckClips;
  readonly signal: AbortSignal;
}

/** An assumption about the real TRTC. */
export type Assumed =
  | "kept"
  /** It is refused, or ended later. */
  | "turned away"
  /** Nothing is documented, and nothing depends on it. */
  | "nothing";

export interface CheckResult {
  readonly name: string;
  readonly assumed: Assumed;
  /** Null if it could not be tried. */
  readonly outcome: Outcome | null;
}

interface Check {
  readonly name: string;
  readonly assumed: Assumed;
  readonly run: (context: CheckContext) => Promise<Outcome | null>;
}

const ADVISED_CHUNK_BYTES = 1360;
const HOLD_MS = 1000;
const AT_ONCE = 4;

interface Push {
  readonly clip?: Clip;
  readonly room?: Room;
  readonly chunkBytes?: number;
  readonly base?: string;
  readonly userId?: string;
  /** Of the UserSig, where it is not right. */
  readonly signedFor?: string;
  readonly signedWith?: string;
  readonly signedAtMs?: number;
  readonly holdMs?: number;
  readonly onEntered?: () => void;
}

let users = 0;

async function push({ target, clips, signal }: CheckContext, options: Push): Promise<Outcome> {
  const { sdkAppId, secretKey } = target;
  users += 1;
  const { userId = `roomcast_check_${users}`, room = { kind: "string", id: target.room } as const } = options;
  const userSig = await mintUserSig({
    sdkAppId,
    userId: options.signedFor ?? userId,
    secretKey: options.signedWith ?? secretKey,
    lifetimeS: 3600,
    nowMs: options.signedAtMs ?? Date.now(),
  });
  const hosts: PushHosts = { tls: false, base: options.base ?? target.base, baseByApp: {} };
  return pushOnce({
    url: trtcPushUrls({ hosts, seat: { sdkAppId, room, userId }, userSig }).url,
    chunkBytes: options.chunkBytes ?? ADVISED_CHUNK_BYTES,
    clip: options.clip ?? clips.plain,
    holdMs: options.holdMs ?? HOLD_MS,
    secrets: [userSig, encodeURIComponent(userSig), secretKey],
    signal,
    ...(options.onEntered === undefined ? {} : { onEntered: options.onEntered }),
  });
}

/** Two pushes as one user, the second once the first is in its room; the first one's outcome, where both got in. */
async function twice(context: CheckContext, second: (context: CheckContext) => Room): Promise<Outcome> {
  users += 1;
  const userId = `roomcast_twice_${users}`;
  const entered = Promise.withResolvers<void>();
  const lastMs = context.clips.plain.tags.at(-1)?.timestampMs ?? 0;
  // The first push stays while the second one begins and ends.
  const first = push(context, { userId, onEntered: entered.resolve, holdMs: lastMs + 5 * HOLD_MS });
  const isIn = await Promise.race([entered.promise.then(() => true), first.then(() => false)]);
  if (!isIn) return first;
  const [older, newer] = await Promise.all([first, push(context, { userId, room: second(context) })]);
  return newer.kind === "kept" ? older : newer;
}

const withChunks = (chunkBytes: number, assumed: Assumed): Check => ({
  name: `RTMP chunks of ${chunkBytes} bytes`,
  assumed,
  run: (context) => push(context, { chunkBytes }),
});

const ownRoom = ({ target }: CheckContext): Room => ({ kind: "string", id: target.room });

const CHECKS: readonly Check[] = [
  { name: "a string room", assumed: "kept", run: (context) => push(context, {}) },
  {
    name: "an integer room (use_number_room_id=1)",
    assumed: "kept",
    run: (context) => push(context, { room: { kind: "number", id: context.target.numberRoom } }),
  },
  withChunks(128, "kept"),
  withChunks(ADVISED_CHUNK_BYTES, "kept"),
  withChunks(4096, "kept"),
  withChunks(60_000, "turned away"),
  {
    name: "the backup host",
    assumed: "kept",
    run: async (context) => {
      const { backupBase } = context.target;
      return backupBase === undefined ? null : push(context, { base: backupBase });
    },
  },
  {
    name: "a UserSig signed with another SecretKey",
    assumed: "turned away",
    run: (context) => push(context, { signedWith: "no SecretKey of this application" }),
  },
  {
    name: "a UserSig that has expired",
    assumed: "turned away",
    run: (context) => push(context, { signedAtMs: Date.now() - 24 * 3_600_000 }),
  },
  {
    name: "another user's UserSig",
    assumed: "turned away",
    run: (context) => push(context, { signedFor: "somebody_else" }),
  },
  { name: "B-frames", assumed: "turned away", run: (context) => push(context, { clip: context.clips.bFrames }) },
  {
    name: "H.265",
    assumed: "turned away",
    run: async (context) => (context.clips.hevc === null ? null : push(context, { clip: context.clips.hevc })),
  },
  {
    name: "messages in the picture (SEI)",
    assumed: "kept",
    run: (context) => push(context, { clip: context.clips.sei }),
  },
  { name: "HE-AAC", assumed: "nothing", run: (context) => push(context, { clip: context.clips.heAac }) },
  {
    name: "a change of the picture's size",
    assumed: "nothing",
    run: (context) => push(context, { clip: context.clips.resized }),
  },
  { name: "the older of two pushes for one seat", assumed: "turned away", run: (context) => twice(context, ownRoom) },
  {
    name: "the older push of a UserId in two rooms",
    assumed: "turned away",
    run: (context) => twice(context, ({ target }) => ({ kind: "string", id: `${target.room}_second` })),
  },
];

/**
 * Tries all assumptions, a few at a time, each with another user.
 *
 * @param onResult called with each result when it is known, in any order
 * @returns the results, in a fixed order
 */
export async function runTrtcChecks(
  context: CheckContext,
  onResult: (result: CheckResult) => void,
): Promise<readonly CheckResult[]> {
  const results = new Map<string, CheckResult>();
  const left = CHECKS.values();
  const takeTurns = async () => {
    for (const { name, assumed, run } of left) {
      const result = { name, assumed, outcome: await run(context) };
      results.set(name, result);
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, takeTurns));
  return CHECKS.map(({ name, assumed }) => results.get(name) ?? { name, assumed, outcome: null });
}
