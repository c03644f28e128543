const VERSION_AT = 14;
const APP_AT = 28;

/**
 * A new task's id: a UUID of version 8 (RFC 9562, section 5.8), 90 random bits and then the application. So whoever has
 * only the id knows which Directory has accepted the task.
 */
export function newTaskId(sdkAppId: number): string {
  const random = crypto.randomUUID();
  const app = sdkAppId.toString(16).padStart(8, "0");
  return `${random.slice(0, VERSION_AT)}8${random.slice(VERSION_AT + 1, APP_AT)}${app}`;
}

/** The application of a task; null: an older version of the edge has made the id, which says nothing of it. Pure. */
export function sdkAppIdOf(taskId: string): number | null {
  if (taskId[VERSION_AT] !== "8") return null;
  const sdkAppId = Number.parseInt(taskId.slice(APP_AT), 16);
  return sdkAppId > 0 ? sdkAppId : null;
}
