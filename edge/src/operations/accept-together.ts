import { waitUntil } from "cloudflare:workers";
import { RoomcastError } from "@roomcast/shared";
import type { Accept, AcceptAnswer } from "../contracts/directory-object.ts";
import type { Env } from "../contracts/env.ts";

interface Member {
  readonly accept: Accept;
  readonly done: PromiseWithResolvers<AcceptAnswer>;
}

/** The pushes of one call. */
interface Group {
  readonly members: Member[];
  /** The characters of their texts. */
  length: number;
  /** Unix ms. */
  readonly sinceMs: number;
}

/** Pushes of any application that come this soon after one another wait for those that have arrived already. */
const BURST_GAP_MS = 10;
const MAX_MEMBERS = 64;
/** A call takes 32 MiB, and a character up to two bytes. The longest push has some 300,000 characters. */
const MAX_GROUP_LENGTH = 4 * 1024 * 1024;
/** A call that has not been made by then may never be made, because the runtime may have ended its request. */
const STALE_MS = 200;
const ANSWER_TIMEOUT_MS = 30_000;

/** Groups whose call has not been made yet, by the name of their Directory. */
const gathering = new Map<string, Group>();
let lastCallAtMs = Number.NEGATIVE_INFINITY;

/** Asks an application's Directory to accept a push. Concurrent creates share one call, which costs as much as the rest of a
 * request; a lone create calls at once. If a client disconnects while its create is in a group, workerd logs a cross-request
 * warning, which is harmless.
 *
 * @throws RoomcastError `InternalError` when no answer comes; it is not known then whether the push was accepted.
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
    // Others rely on the call, so it is made and awaited even if this request's client disconnects.
    waitUntil(callFor(env, name, own));
  } else {
    group.members.push(member);
    group.length += length;
    if (group.members.length === MAX_MEMBERS) close(name, group);
  }
  // The runtime considers a request hung if it only waits for another request's call, so a timer belongs to this request.
  setTimeout(() => member.done.reject(unanswered()), ANSWER_TIMEOUT_MS);
  return member.done.promise;
}

/** True if the runtime resumes each request in its own context when another request's promise resolves. It does so by the
 * compatibility date, except in the test runner, which turns it off.
 */
function mayWaitForOthers(): boolean {
  return Cloudflare.compatibilityFlags["handle_cross_request_promise_resolution"] === true;
}

/** Makes the group's call. It never rejects; the promises of its members do. */
async function callFor(env: Env, name: string, group: Group): Promise<void> {
  const { members } = group;
  try {
    // One turn of the event loop lets the requests join that have arrived already.
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
