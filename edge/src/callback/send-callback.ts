import type { Config } from "../base/config.ts";
import { signature } from "./callback-body.ts";
import { judgeCallbackUrl } from "./callback-url.ts";

export interface CallbackAddress {
  readonly url: string;
  readonly key: string;
}

export interface SendCallback extends CallbackAddress {
  readonly sdkAppId: number;
  readonly body: string;
  readonly policy: Pick<Config, "callbackAllow" | "callbackTimeoutMs">;
}

export type Sent =
  | { readonly ok: true }
  /** `why` is for the task's log and contains no part of the URL. */
  | { readonly ok: false; readonly why: string };

/** POSTs one event. Only a 2xx status within the time-out is a success. Redirects are not followed. */
export async function sendCallback({ url, key, sdkAppId, body, policy }: SendCallback): Promise<Sent> {
  const problem = judgeCallbackUrl(url, policy.callbackAllow);
  if (problem !== null) return { ok: false, why: `its URL is not allowed: expected ${problem}` };
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Sign: await signature(body, key), SdkAppId: String(sdkAppId) },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(policy.callbackTimeoutMs),
    });
    await response.body?.cancel();
    return response.ok ? { ok: true } : { ok: false, why: `the receiver answered HTTP ${response.status}` };
  } catch (thrown) {
    const late = thrown instanceof Error && thrown.name === "TimeoutError";
    const why = late ? `no answer within ${policy.callbackTimeoutMs} ms` : "the receiver could not be reached";
    return { ok: false, why };
  }
}
