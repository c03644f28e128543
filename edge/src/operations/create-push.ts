import {
  checkUserSig,
  expiryMs,
  givenFields,
  type PushRequest,
  pushRequestSchema,
  RoomcastError,
  regionName,
  seatKey,
  seatOf,
  shownRequest,
  validate,
} from "@roomcast/shared";
import { type Caller, requireApp, requireRole } from "../auth/caller.ts";
import { readConfig } from "../base/config.ts";
import { inflate } from "../base/inflate.ts";
import { fingerprints, type SealKeys, seal } from "../base/seal.ts";
import { regionsOfCreates } from "../caches/known-regions.ts";
import { callbackTarget, checkCallbackUrl, forWorker } from "../callback/request-callback.ts";
import type { Accept, AcceptAnswer, AcceptedPush } from "../contracts/directory-object.ts";
import type { Env } from "../contracts/env.ts";
import { newTaskId } from "../model/task-id.ts";
import { firstPlaceAtMs } from "../model/task-times.ts";
import { elsewhereWarnings, roomOf, type Warning } from "../model/task-warnings.ts";

import { acceptTogether } from "./accept-together.ts";
import { callerCoordinates, chooseRegion } from "./choose-region.ts";

/** The input of `createPush`. */
export interface CreatePushOptions {
  /** The request as it was sent, before validation. */
  readonly input: unknown;
  readonly caller: Caller;
  /** The header `Idempotency-Key`. */
  readonly idempotencyKey: string | undefined;
  /** The header `X-TC-Region`. */
  readonly regionHeader: string | undefined;
  /** The request's property `cf`, in which Cloudflare describes the caller's location. */
  readonly cf?: unknown;
}

/** An accepted push. */
export interface CreatedPush {
  readonly taskId: string;
  readonly warnings: readonly Warning[];
}

/**
 * Accepts a push: validates the request and hands it to the Directory of its application, which stores it together with the
 * claim to its seat. The Directory creates the task's object afterwards, and the task starts.
 *
 * @returns the new task, or the earlier task if the same request was made before with the same idempotency key
 * @throws RoomcastError for everything that is wrong with the request
 */
export async function createPush(env: Env, options: CreatePushOptions): Promise<CreatedPush> {
  const { caller, idempotencyKey } = options;
  const config = readConfig(env);
  requireRole(caller, "operator");
  const request = validate(pushRequestSchema, givenFields(pushRequestSchema, options.input));
  requireApp(caller, request.SdkAppId);
  const header = headerRegion(options.regionHeader);
  const chosen = await chooseRegion(
    {
      asked: request.Region,
      header,
      caller: callerCoordinates(options.cf),
      fallback: config.defaultRegion,
      configured: config.regions,
    },
    () => regionsOfCreates.all(env, request.Region),
  );
  if (chosen.kind === "unknown") throw unknownRegion(chosen.known);
  const { region } = chosen;
  const key = checkedKey(idempotencyKey);
  await checkUserSigOf(request, config.trtcApps.get(request.SdkAppId));
  if (request.CallbackUrl !== undefined) checkCallbackUrl("CallbackUrl", request.CallbackUrl, config);
  const taskId = newTaskId(request.SdkAppId);
  const push: AcceptedPush = {
    request: shownRequest(request),
    sealedRequest: await seal(forWorker(request) satisfies PushRequest, config.sealKeys, taskId),
    callbacks: await callbackTarget(env, request, taskId),
  };
  const answer = await accept(env, {
    taskId,
    sdkAppId: request.SdkAppId,
    seatKey: seatKey(seatOf(request)),
    region,
    startsAtMs: firstPlaceAtMs(request, 0),
    push: JSON.stringify(push),
    onConflict: request.OnConflict ?? "replace",
    // Without OnConflict, a newer push takes its seat from an older one, but does not end a push of the same user in another
    // room.
    otherRooms: request.OnConflict ?? "warn",
    endedHolder: null,
    idempotency:
      key === null
        ? null
        : {
            key: `${caller.secretId}/${key}`,
            fingerprints: await fingerprintsOf(
              request,
              { named: request.Region ?? header, chosen: region },
              config.sealKeys,
            ),
          },
  });
  if (answer.kind === "conflict") {
    throw new RoomcastError(
      "ResourceInUse.IdempotencyKey",
      "Another request was made with this Idempotency-Key: use a new key for a new request.",
    );
  }
  if (answer.kind === "taken" && answer.elsewhere !== undefined) {
    throw new RoomcastError(
      "ResourceInUse.UserId",
      `Task ${answer.by} has ${request.UserId} push in ${roomOf(answer.elsewhere)}, and a UserId is one user in all rooms of its application: stop that task first, use another UserId, or send OnConflict "replace".`,
    );
  }
  if (answer.kind === "taken") {
    throw new RoomcastError(
      "ResourceInUse.Seat",
      `Task ${answer.by} holds this seat (SdkAppId, room and UserId): stop it first, or send OnConflict "replace".`,
    );
  }
  return { taskId: answer.taskId, warnings: elsewhereWarnings(request, answer.elsewhere ?? []) };
}

/**
 * Returns the fingerprints of a request as it was sent. They include the region only if the caller named one, because the edge
 * may later choose another region for the same request. An older edge included the chosen region, so that form is accepted too.
 */
async function fingerprintsOf(
  request: PushRequest,
  region: { readonly named: string | undefined; readonly chosen: string },
  keys: SealKeys,
): Promise<[string, ...string[]]> {
  const { named, chosen } = region;
  if (named !== undefined) return fingerprints({ ...request, region: named }, keys);
  const [sent, before] = await Promise.all([
    fingerprints(request, keys),
    fingerprints({ ...request, region: chosen }, keys),
  ]);
  return [...sent, ...before];
}

/**
 * Requires that the UserSig is valid now and when the push starts. If the SecretKey is known, the start does not matter,
 * because a fresh UserSig is made for it.
 */
async function checkUserSigOf(request: PushRequest, secretKey: string | undefined): Promise<void> {
  const { UserSig: userSig, UserId: userId, SdkAppId: sdkAppId, StartAt } = request;
  const fields = await checkUserSig({ userSig, userId, sdkAppId, secretKey, nowMs: Date.now(), inflate });
  if (StartAt === undefined || secretKey !== undefined || Date.parse(StartAt) < expiryMs(fields)) return;
  throw new RoomcastError(
    "AuthFailure.UserSigExpired",
    `UserSig holds only until ${new Date(expiryMs(fields)).toISOString()}, and the push starts later: make one that still holds at StartAt.`,
    { fields: [{ field: "UserSig", problem: "invalid", expected: "a UserSig that holds at StartAt" }] },
  );
}

async function accept(env: Env, wanted: Accept): Promise<AcceptAnswer> {
  const answer = await acceptTogether(env, wanted);
  // A Directory learns a moment later than the Task that the task has ended, so the task that holds the seat is asked itself.
  if (answer.kind !== "taken" || !(await env.TASK.getByName(answer.by).hasEnded())) return answer;
  return acceptTogether(env, { ...wanted, endedHolder: answer.by });
}

/** The largest number of region names that an error shows. */
const MAX_REGIONS_SHOWN = 30;

function unknownRegion(known: readonly string[]): RoomcastError {
  const names = known.slice(0, MAX_REGIONS_SHOWN).join(", ");
  const regions = `one of the known regions: ${names}${known.length > MAX_REGIONS_SHOWN ? ", …" : ""}`;
  return new RoomcastError("InvalidParameterValue", `Region is invalid: expected ${regions}.`, {
    fields: [{ field: "Region", problem: "invalid", expected: regions }],
  });
}

function headerRegion(header: string | undefined): string | undefined {
  if (header === undefined || header === "") return undefined;
  const parsed = regionName.safeParse(header);
  if (parsed.success) return parsed.data;
  throw new RoomcastError("InvalidParameterValue", `X-TC-Region is invalid: expected ${expected(parsed.error)}.`, {
    fields: [{ field: "X-TC-Region", problem: "invalid", expected: expected(parsed.error) }],
  });
}

function expected(error: { issues: readonly { message: string }[] }): string {
  return error.issues[0]?.message ?? "a region name";
}

function checkedKey(key: string | undefined): string | null {
  if (key === undefined) return null;
  if (/^[\x21-\x7e]{1,128}$/.test(key)) return key;
  const problem = "1 to 128 printable ASCII characters without spaces";
  throw new RoomcastError("InvalidParameterValue", `Idempotency-Key is invalid: expected ${problem}.`, {
    fields: [{ field: "Idempotency-Key", problem: "invalid", expected: problem }],
  });
}
