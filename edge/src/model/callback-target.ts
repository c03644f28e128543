/** The target of a task's events. */
export type CallbackTarget =
  /** Events go to the callback that the application has when they are sent. */
  | { readonly kind: "app"; readonly events: "trtc" | "all" }
  /** Events go to the callback of the request: `{ url, key }`, sealed for `taskCallbackSubject`. */
  | { readonly kind: "request"; readonly events: "trtc" | "all"; readonly sealed: string };
