import type { RtmpStatus } from "../../rtmp/rtmp-client.ts";

/** What a server's status means for somebody who plays. */
export type PullVerdict = "started" | "told" | "notFound" | "refused" | "finished" | "lost";

const VERDICTS: Readonly<Record<string, PullVerdict>> = {
  "NetStream.Play.Start": "started",
  "NetStream.Play.StreamNotFound": "notFound",
  "NetStream.Play.FileNotFound": "notFound",
  "NetConnection.Connect.InvalidApp": "notFound",
  "NetConnection.Connect.Rejected": "refused",
  "NetStream.Play.Failed": "refused",
  /** A recorded stream has been played to its end. */
  "NetStream.Play.Complete": "finished",
  "NetStream.Play.Stop": "finished",
  /** The publisher left. */
  "NetStream.Play.UnpublishNotify": "lost",
  "NetConnection.Connect.Closed": "lost",
  "NetConnection.Connect.AppShutdown": "lost",
};

/** Reads a status of the server that is played from; an unknown one of level `error` is a refusal. Pure. */
export function judgePullStatus(status: Pick<RtmpStatus, "level" | "code">): PullVerdict {
  return VERDICTS[status.code] ?? (status.level === "error" ? "refused" : "told");
}
