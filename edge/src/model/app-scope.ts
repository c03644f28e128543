/** The applications that somebody may see and touch; `"*"`: all. */
export type AppScope = "*" | readonly number[];

/** Whether all that `inner` reaches is within `outer`. Pure. */
export function covers(outer: AppScope, inner: AppScope): boolean {
  return outer === "*" || (inner !== "*" && inner.every((sdkAppId) => outer.includes(sdkAppId)));
}
