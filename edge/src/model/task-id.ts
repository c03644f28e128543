const VERSION_AT = 14;
const APP_AT = 28;

/** Makes the id of a new task: a UUID of version 8 (RFC 9562, section 5.8) with 90 random bits followed by the application, so
 * that the id alone leads to the Directory that has accepted the task.
 */
export function newTaskId(sdkAppId: number): string {
  const random = crypto.randomUUID();
  const app = sdkAppId.toString(16).padStart(8, "0");
  return `${random.slice(0, VERSION_AT)}8${random.slice(VERSION_AT + 1, APP_AT)}${app}`;
}

/** Returns the SdkAppId in a task's id, or null if the id contains none because an older edge made it. Pure. */
export function sdkAppIdOf(taskId: string): number | null {
  if (taskId[VERSION_AT] !== "8") return null;
  const sdkAppId = Number.parseInt(taskId.slice(APP_AT), 16);
  return sdkAppId > 0 ? sdkAppId : null;
}
