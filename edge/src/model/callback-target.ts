/** Where a task's events go. */
export type CallbackTarget =
  /** To where the application's are sent, as it is set at the time. */
  | { readonly kind: "app"; readonly events: "trtc" | "all" }
  /** To where the request says: `{ url, key }`, sealed for `taskCallbackSubject`. */
  | { readonly kind: "request"; readonly events: "trtc" | "all"; readonly sealed: string };
