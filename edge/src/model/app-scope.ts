/** The applications that a caller may see and change; `"*"` means all. */
export type AppScope = "*" | readonly number[];

/** Returns true if every application of `inner` is one of `outer`. Pure. */
export function covers(outer: AppScope, inner: AppScope): boolean {
  return outer === "*" || (inner !== "*" && inner.every((sdkAppId) => outer.includes(sdkAppId)));
}
