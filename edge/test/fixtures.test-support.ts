import { env, exports } from "cloudflare:workers";
import { mintUserSig, type TaskView } from "@roomcast/shared";
import { regionsOfCreates } from "../src/caches/known-regions.ts";
import { ROOT } from "../src/contracts/root-registry.ts";
import { eventually } from "./eventually.test-support.ts";

/** Must equal the binding in vitest.config.ts, like the keys and credentials below. */
export const WORKER_TOKEN_KEY = "a key for worker tokens, only for tests";
export const OLDER_WORKER_TOKEN_KEY = "an older key for worker tokens, only for tests";
export const SEAL_KEYS = [
  "a key for sealing requests, only for tests",
  "an older key for sealing requests, only for tests",
] as const;
export const ADMIN = "admin.admin-secret-key";
export const SCHOOL = "school.school-secret-key";
export const RIVAL = "rival.rival-secret-key";
export const WATCHER = "watcher.watcher-secret-key";
/** An application of SCHOOL whose SecretKey the edge does not know. */
export const APP = 1_400_000_001;
/** An application of SCHOOL whose SecretKey the edge knows. */
export const KEYED_APP = 1_400_000_002;
export const KEYED_APP_SECRET = "the app's SecretKey, only for tests";

/** Returns the name of a region, room or worker that no other test uses, because tests share all objects. */
export function fresh(prefix: string): string {
  return `${prefix}-${crypto.randomUUID().slice(0, 8)}`;
}

export function userSig(options: { sdkAppId?: number; userId?: string; secretKey?: string; nowMs?: number } = {}) {
  return mintUserSig({
    sdkAppId: options.sdkAppId ?? APP,
    userId: options.userId ?? "teacher",
    secretKey: options.secretKey ?? "some SecretKey",
    lifetimeS: 86_400,
    nowMs: options.nowMs ?? Date.now(),
  });
}

/** Makes a region known, as a worker that connects there does. */
export async function knowRegion(region: string): Promise<void> {
  await env.DIRECTORY.getByName(ROOT).know("region", region);
  regionsOfCreates.forget();
}

/** Returns a valid request for an unused seat. If it names a region, that becomes a known one. */
export async function pushBody(rest: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  const { Region } = rest;
  if (typeof Region === "string" && Region !== "") await knowRegion(Region);
  return {
    VideoSrc: "https://media.example/lesson.mp4",
    SdkAppId: APP,
    StrRoomId: fresh("room").replaceAll("-", "_"),
    UserId: "teacher",
    UserSig: await userSig(),
    ...rest,
  };
}

interface CallOptions {
  readonly method?: string;
  readonly as?: string | null;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

/** Calls the Worker's entry. `body` is sent as JSON unless it is a string. */
export function call(path: string, options: CallOptions = {}): Promise<Response> {
  const { method = "GET", as = SCHOOL, headers = {}, body } = options;
  return exports.default.fetch(`http://edge${path}`, {
    method,
    headers: { ...(as === null ? {} : { Authorization: `Bearer ${as}` }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

/** Starts a push and returns its task's id. */
export async function start(body: Record<string, unknown>, options: CallOptions = {}): Promise<string> {
  const response = await call("/", { method: "POST", body, ...options });
  const taskId = response.headers.get("x-scf-reqid");
  if (taskId === null) throw new Error(`not accepted: ${response.status} ${await response.text()}`);
  await response.text();
  return taskId;
}

export async function view(taskId: string): Promise<TaskView> {
  const response = await call(`/v1/tasks/${taskId}`, { as: ADMIN });
  return response.json();
}

/** Waits until the task is in this state and returns it. */
export function reaches(taskId: string, state: TaskView["state"]): Promise<TaskView> {
  return eventually(async () => {
    const task = await view(taskId);
    if (task.state !== state) throw new Error(`${taskId} is ${task.state}: ${JSON.stringify(task.error)}`);
    return task;
  });
}
