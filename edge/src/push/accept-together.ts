import { waitUntil } from "cloudflare:workers";
import { RoomcastError } from "@roomcast/shared";
import type { Accept, AcceptAnswer } from "../directory/directory.ts";
import type { Env } from "../env.ts";

interface Member {
  readonly accept: Accept;
  readonly done: PromiseWithResolvers<AcceptAnswer>;
}

/** Pushes that one call takes along. */
interface Group {
  readonly members: Member[];
  /** Unix ms. */
  readonly sinceMs: number;
}

/** Pushes that come so soon after one another wait for those that have arrived already. */
const BURST_GAP_MS = 10;
/** A call takes 32 MiB; a push, sealed and shown, has some 200 kB at most. */
const MAX_MEMBERS = 64;
/** A call that has not been made by then never will be: the runtime has ended its request. */
const STALE_MS = 1000;
const ANSWER_TIMEOUT_MS = 30_000;

/** Groups whose call has not been made yet, by the name of their Directory. */
const gathering = new Map<string, Group>();
let lastCallAtMs = Number.NEGATIVE_INFINITY;

/**
 * Asks an application's Directory to accept a push. Pushes of several requests that come at once share one call, which
 * costs as much as all the rest of a request; who comes alone calls at once.
 *
 * @throws RoomcastError `InternalError` where no answer comes; whether the push was accepted is not known then.
 */
export async function acceptTogether(env: Env, accept: Accept): Promise<AcceptAnswer> {
  const name = String(accept.sdkAppId);
  const member: Member = { accept, done: Promise.withResolvers() };
  const nowMs = Date.now();
  const group = gathering.get(name);
  if (group === undefined || nowMs - group.sinceMs > STALE_MS) {
    const own: Group = { members: [member], sinceMs: nowMs };
    if (mayWaitForOthers()) gathering.set(name, own);
    // Others rely on the call: it is made, and heard to its end, even if this request's client hangs up.
    waitUntil(callFor(env, name, own));
  } else {
    group.members.push(member);
    if (group.members.length === MAX_MEMBERS) gathering.delete(name);
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
    if (gathering.get(name) === group) gathering.delete(name);
    const answers = await env.DIRECTORY.getByName(name).accept(members.map(({ accept }) => accept));
    members.forEach(({ done }, at) => {
      // SAFETY: there is an answer for each.
      done.resolve(answers[at] as AcceptAnswer);
    });
  } catch (thrown) {
    for (const { done } of members) done.reject(thrown);
  }
}

function unanswered(): RoomcastError {
  return new RoomcastError(
    "InternalError",
    "The push was not answered in time, and may have been accepted: list the tasks, or send it again with the same Idempotency-Key.",
  );
}
