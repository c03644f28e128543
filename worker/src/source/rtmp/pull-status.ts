import type { RtmpStatus } from "../../rtmp/rtmp-client.ts";

/** What a server's status means for somebody who plays. */
export type PullVerdict = "started" | "told" | "notFound" | "refused" | "finished" | "lost";

const VERDICTS: Readonly<Record<string, PullVerdict>> = {
  "NetStream.Play.Start": "started",
  /** A publisher came. */
  "NetStream.Play.PublishNotify": "started",
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

/**
 * Reads a status of the server that is played from. Before it plays, an unknown one of level `error` is a refusal.
 * Afterwards what would have been one is a loss, which may pass, and an unknown error is none while media comes. Pure.
 */
export function judgePullStatus(
  status: Pick<RtmpStatus, "level" | "code">,
  phase: "starting" | "playing" = "starting",
): PullVerdict {
  const known = VERDICTS[status.code];
  if (phase === "starting") return known ?? (status.level === "error" ? "refused" : "told");
  return known === "notFound" || known === "refused" ? "lost" : (known ?? "told");
}
