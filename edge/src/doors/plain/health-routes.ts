import { Hono } from "hono";
import type { Env } from "../../contracts/env.ts";
import { ROOT } from "../../contracts/root-registry.ts";
import type { AppContext } from "../../http/app-context.ts";

/** `full` means that there is no space left for writes, and `failing` that the storage does not work. */
type StorageHealth = "ok" | "full" | "failing";

interface Look {
  readonly health: StorageHealth;
  readonly atMs: number;
}

/**
 * The shortest time between two checks of the storage. Health can be asked for without a credential, so the checks must be
 * limited.
 */
const LOOK_AGAIN_AFTER_MS = 2000;
const DEADLINE_MS = 5000;

let last: Look | undefined;

/**
 * `/livez` answers as long as the process runs. `/healthz` and `/readyz` answer 200 if the edge can write, and 503 otherwise. A
 * load balancer then sends calls elsewhere, and an orchestrator that watches `/livez` does not restart an edge that a restart
 * does not repair.
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

/** Recognises the error of a write to a full disk by the wording of SQLite and of the operating system. Pure. */
export function healthOf(thrown: unknown): Exclude<StorageHealth, "ok"> {
  return /SQLITE_FULL|database or disk is full|ENOSPC|No space left|exceeded.*(storage|quota|size)/i.test(
    String(thrown),
  )
    ? "full"
    : "failing";
}

/** Forgets the last check, for tests. */
export function forgetHealth(): void {
  last = undefined;
}
