import { waitUntil } from "cloudflare:workers";
import { RoomcastError } from "@roomcast/shared";
import type { Accept, AcceptAnswer } from "../contracts/directory-object.ts";
import type { Env } from "../contracts/env.ts";

interface Member {
  readonly accept: Accept;
  readonly done: PromiseWithResolvers<AcceptAnswer>;
}

/** Pushes that are sent to a Directory in one call. */
interface Group {
  readonly members: Member[];
  /** The total length of the members' pushes, in characters. */
  length: number;
  /** The time at which the group was begun, Unix ms. */
  readonly sinceMs: number;
}

/**
 * A call that follows the last one, of any application, within this time first waits one turn of the event loop. Pushes that
 * have already arrived can then join it.
 */
const BURST_GAP_MS = 10;
const MAX_MEMBERS = 64;
/**
 * The largest length of a group, in characters. A call can carry at most 32 MiB, and a character takes up to two bytes. The
 * longest push has about 300,000 characters.
 */
const MAX_GROUP_LENGTH = 4 * 1024 * 1024;
/**
 * The age from which a group is no longer joined. Its call may never be made, because the runtime may have ended the request
 * that was to make it.
 */
const STALE_MS = 200;
const ANSWER_TIMEOUT_MS = 30_000;

/** Groups whose call has not been made yet, by the name of their Directory. */
const gathering = new Map<string, Group>();
let lastCallAtMs = Number.NEGATIVE_INFINITY;

/**
 * Asks an application's Directory to accept a push. Concurrent creates share one call, because a call costs as much as the rest
 * of a request. A lone create calls at once. If a client disconnects while its create is in a group, workerd logs a
 * cross-request warning, which is harmless.
 *
 * @throws RoomcastError `InternalError` when no answer comes. It is then unknown whether the push was accepted.
 */
export async function acceptTogether(env: Env, accept: Accept): Promise<AcceptAnswer> {
  const name = String(accept.sdkAppId);
  const member: Member = { accept, done: Promise.withResolvers() };
  const nowMs = Date.now();
  const group = gathering.get(name);
  const { length } = accept.push;
  if (group === undefined || nowMs - group.sinceMs > STALE_MS || group.length + length > MAX_GROUP_LENGTH) {
    const own: Group = { members: [member], length, sinceMs: nowMs };
    if (mayWaitForOthers()) gathering.set(name, own);
    // Other requests rely on the call, so it is made and awaited even if the client of this request disconnects.
    waitUntil(callFor(env, name, own));
  } else {
    group.members.push(member);
    group.length += length;
    if (group.members.length === MAX_MEMBERS) close(name, group);
  }
  // The runtime considers a request hung if it only waits for another request's call, so each request has a timer of its own.
  setTimeout(() => member.done.reject(unanswered()), ANSWER_TIMEOUT_MS);
  return member.done.promise;
}

/**
 * Returns true if the runtime resumes each request in its own context when another request's promise resolves. The
 * compatibility date turns this on; the test runner turns it off.
 */
function mayWaitForOthers(): boolean {
  return Cloudflare.compatibilityFlags["handle_cross_request_promise_resolution"] === true;
}

/** Makes the group's call. The returned promise never rejects; if the call fails, the promises of the members do. */
async function callFor(env: Env, name: string, group: Group): Promise<void> {
  const { members } = group;
  try {
    // Waiting one turn of the event loop lets requests that have already arrived join the group.
    if (Date.now() - lastCallAtMs < BURST_GAP_MS) await scheduler.wait(0);
    lastCallAtMs = Date.now();
    close(name, group);
    const answers = await env.DIRECTORY.getByName(name).acceptGroup(members.map(({ accept }) => accept));
    members.forEach(({ done }, at) => {
      // SAFETY: there is an answer for each member.
      done.resolve(answers[at] as AcceptAnswer);
    });
  } catch (cause) {
    close(name, group);
    for (const { done } of members) done.reject(unanswered({ cause }));
  }
}

/** Closes the group for further members. */
function close(name: string, group: Group): void {
  if (gathering.get(name) === group) gathering.delete(name);
}

function unanswered(options?: ErrorOptions): RoomcastError {
  return new RoomcastError(
    "InternalError",
    "The edge does not know whether the push was accepted: list the tasks, or send it again with the same Idempotency-Key.",
    options,
  );
}
