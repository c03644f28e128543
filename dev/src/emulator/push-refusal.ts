/** The reason for refusing a publish, in RTMP's form: an onStatus of level "error". */
export interface PushRefusal {
  readonly code: string;
  /** A text that says what is wrong, what was expected and what to do. It contains no secret. */
  readonly description: string;
}

/** The room, the query or a value in it is wrong. */
export const BAD_NAME = "NetStream.Publish.BadName";
/** The UserSig does not open this seat. */
export const DENIED = "NetStream.Publish.Denied";
/** Another publisher took the seat. */
export const REPLACED = "NetStream.Publish.Replaced";
/** The room put the user out. */
export const KICKED = "NetStream.Publish.Kicked";
/** The room does not take what is pushed. */
export const UNSUPPORTED = "NetStream.Publish.Rejected";
/** The application name of `connect` is none of ours. */
export const BAD_APP = "NetConnection.Connect.Rejected";
