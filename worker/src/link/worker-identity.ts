import { regionName, type WorkerIdentity } from "@roomcast/shared";
import { z } from "zod";

const claims = z.object({ sub: z.string().min(1).max(64), regions: z.array(regionName).min(1) });

/**
 * Returns the worker's identity from its token, or null if this is not a worker token. The token is not verified: only
 * the edge has the key, and it refuses a forged one.
 */
export function readWorkerIdentity(token: string): WorkerIdentity | null {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const payload: unknown = JSON.parse(Buffer.from(parts[1] ?? "", "base64url").toString("utf8"));
    const parsed = claims.safeParse(payload);
    return parsed.success ? { workerId: parsed.data.sub, regions: parsed.data.regions } : null;
  } catch {
    return null;
  }
}
