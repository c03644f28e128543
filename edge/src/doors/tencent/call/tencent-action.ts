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
  /** The header X-TC-Region. */
  readonly region: string | undefined;
  /** The call's signature. A repeated create with the same signature is answered with the first task; see `replayKey`. */
  readonly signature: string;
}

/**
 * Returns the idempotency key of a signed create. An attacker who has intercepted the call can repeat it while its timestamp is
 * accepted. Because of the key, the repetition does not start a second push.
 */
export function replayKey({ signature }: Pick<ActionContext, "signature">): string {
  return `tc3-${signature}`;
}

/** Carries out a call and returns the content of its `Response` without the RequestId. */
export type TencentAction = (context: ActionContext, parameters: CallParameters) => Promise<object>;

/** Returns the warnings of an accepted task as a part of the answer, or nothing if there are none. */
export function shownWarnings(warnings: readonly Warning[]): object {
  if (warnings.length === 0) return {};
  return { Warnings: warnings.map(({ code, message }) => ({ Code: code, Message: message })) };
}

/**
 * Makes an action whose parameters are validated before it runs. The error for invalid parameters names all of them at once.
 */
export function tencentAction<Schema extends z.ZodType>(
  schema: Schema,
  run: (context: ActionContext, parameters: z.output<Schema>) => Promise<object>,
): TencentAction {
  return async (context, { kind, value }) => {
    return run(context, validate(schema, givenFields(schema, kind === "texts" ? typedFor(schema, value) : value)));
  };
}
