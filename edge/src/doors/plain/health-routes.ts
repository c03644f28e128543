import { Hono } from "hono";
import type { Env } from "../../contracts/env.ts";
import { ROOT } from "../../contracts/root-registry.ts";
import type { AppContext } from "../../http/app-context.ts";

/** `full`: nothing can be written any more, for want of room. `failing`: the storage does not do its work. */
type StorageHealth = "ok" | "full" | "failing";

interface Look {
  readonly health: StorageHealth;
  readonly atMs: number;
}

/** Nobody needs a credential to ask: the storage is looked at no more often than this. */
const LOOK_AGAIN_AFTER_MS = 2000;
const DEADLINE_MS = 5000;

let last: Look | undefined;

/**
 * `/livez`: this process answers. `/healthz` and `/readyz`: it can do its work, which is to write; 503 where it cannot,
 * so that whoever sends calls here sends them elsewhere, and no one restarts what a restart does not mend.
 */
export const healthRoutes = new Hono<AppContext>()
  .get("/livez", (c) => c.json({ status: "ok" }))
  .on("GET", ["/healthz", "/readyz"], async (c) => {
    const storage = await storageHealth(c.env, Date.now());
    if (storage === "ok") return c.json({ status: "ok" });
    return c.json({ status: "unavailable", storage, remedy: REMEDY[storage] }, 503);
  });

const REMEDY: Readonly<Record<Exclude<StorageHealth, "ok">, string>> = {
  full: "the disk, or the quota, on which the edge stores its objects is full: make room",
  failing: "the edge's objects cannot be reached or cannot write: see its log",
};

async function storageHealth(env: Env, nowMs: number): Promise<StorageHealth> {
  if (last !== undefined && nowMs >= last.atMs && nowMs - last.atMs < LOOK_AGAIN_AFTER_MS) return last.health;
  const health = await look(env);
  last = { health, atMs: nowMs };
  return health;
}

async function look(env: Env): Promise<StorageHealth> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("the storage did not answer in time")), DEADLINE_MS);
  try {
    await Promise.race([env.DIRECTORY.getByName(ROOT).writes(), late.promise]);
    return "ok";
  } catch (thrown) {
    console.error("the storage is not healthy", { thrown: String(thrown) });
    return healthOf(thrown);
  } finally {
    clearTimeout(timer);
  }
}

/** Of what a write has thrown: SQLite, and the system below it, say a full disk in these words. Pure. */
export function healthOf(thrown: unknown): Exclude<StorageHealth, "ok"> {
  return /SQLITE_FULL|database or disk is full|ENOSPC|No space left|exceeded.*(storage|quota|size)/i.test(
    String(thrown),
  )
    ? "full"
    : "failing";
}

/** For tests: what was seen a moment ago does not count. */
export function forgetHealth(): void {
  last = undefined;
}
