import { waitUntil } from "cloudflare:workers";
import { RoomcastError } from "@roomcast/shared";
import type { Accept, AcceptAnswer } from "../contracts/directory-object.ts";
import type { Env } from "../contracts/env.ts";

interface Member {
  readonly accept: Accept;
  readonly done: PromiseWithResolvers<AcceptAnswer>;
}

/** Pushes that one call takes along. */
interface Group {
  readonly members: Member[];
  /** Of their texts. */
  length: number;
  /** Unix ms. */
  readonly sinceMs: number;
}

/** Pushes, of whichever application, that come so soon after one another wait for those that have arrived already. */
const BURST_GAP_MS = 10;
const MAX_MEMBERS = 64;
/** A call takes 32 MiB, and a character up to two bytes. The longest push has some 300,000 characters. */
const MAX_GROUP_LENGTH = 4 * 1024 * 1024;
/** A call that has not been made by then may never be: perhaps the runtime has ended its request. */
const STALE_MS = 200;
const ANSWER_TIMEOUT_MS = 30_000;

/** Groups whose call has not been made yet, by the name of their Directory. */
const gathering = new Map<string, Group>();
let lastCallAtMs = Number.NEGATIVE_INFINITY;

/**
 * Asks an application's Directory to accept a push. Pushes of several requests that come at once share one call, which
 * costs as much as all the rest of a request; who comes alone calls at once. Where a client hangs up meanwhile, the runtime
 * warns that its request does not go on when another one's call is answered, which is as it should be.
 *
 * @throws RoomcastError `InternalError` where no answer comes; whether the push was accepted is not known then.
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
    // Others rely on the call: it is made, and heard to its end, even if this request's client hangs up.
    waitUntil(callFor(env, name, own));
  } else {
    group.members.push(member);
    group.length += length;
    if (group.members.length === MAX_MEMBERS) close(name, group);
  }
  // The runtime takes a request for hung that waits for another one's call and has nothing of its own to wait for. The
  // timer goes with the request.
  setTimeout(() => member.done.reject(unanswered()), ANSWER_TIMEOUT_MS);
  return member.done.promise;
}

/**
 * Whether the runtime goes on with each request as itself when another one's promise resolves: it does, by the
 * compatibility date, but for the test runner, which turns it off.
 */
function mayWaitForOthers(): boolean {
  return Cloudflare.compatibilityFlags["handle_cross_request_promise_resolution"] === true;
}

/** Never rejects: its members do. */
async function callFor(env: Env, name: string, group: Group): Promise<void> {
  const { members } = group;
  try {
    // One turn of the event loop: what has arrived already joins.
    if (Date.now() - lastCallAtMs < BURST_GAP_MS) await scheduler.wait(0);
    lastCallAtMs = Date.now();
    close(name, group);
    const answers = await env.DIRECTORY.getByName(name).acceptGroup(members.map(({ accept }) => accept));
    members.forEach(({ done }, at) => {
      // SAFETY: there is an answer for each.
      done.resolve(answers[at] as AcceptAnswer);
    });
  } catch (cause) {
    close(name, group);
    for (const { done } of members) done.reject(unanswered({ cause }));
  }
}

/** Nobody joins any more. */
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
