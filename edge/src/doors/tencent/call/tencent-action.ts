import { givenFields, validate } from "@roomcast/shared";
import type { z } from "zod";
import type { Caller } from "../../../auth/caller.ts";
import type { Env } from "../../../contracts/env.ts";
import type { Warning } from "../../../model/task-warnings.ts";
import { typedFor } from "./query-parameters.ts";
import type { CallParameters } from "./tencent-call.ts";

export interface ActionContext {
  readonly env: Env;
  readonly caller: Caller;
  /** Of X-TC-Region. */
  readonly region: string | undefined;
  /** Of the call. A create that comes again with it is answered with the task that it made: see `replayKey`. */
  readonly signature: string;
}

/**
 * The idempotency key of a signed create: whoever has seen one may send it again for as long as its time is believed, and
 * must not start a second push by that.
 */
export function replayKey({ signature }: Pick<ActionContext, "signature">): string {
  return `tc3-${signature}`;
}

/** Carries out a call and returns what stands in its `Response`, all but the RequestId. */
export type TencentAction = (context: ActionContext, parameters: CallParameters) => Promise<object>;

/** What may go wrong with a task though it was accepted, as a part of an answer; nothing where nothing may. */
export function shownWarnings(warnings: readonly Warning[]): object {
  if (warnings.length === 0) return {};
  return { Warnings: warnings.map(({ code, message }) => ({ Code: code, Message: message })) };
}

/** An action whose parameters are checked first, all wrong ones named at once. */
export function tencentAction<Schema extends z.ZodType>(
  schema: Schema,
  run: (context: ActionContext, parameters: z.output<Schema>) => Promise<object>,
): TencentAction {
  return async (context, { kind, value }) => {
    return run(context, validate(schema, givenFields(schema, kind === "texts" ? typedFor(schema, value) : value)));
  };
}
