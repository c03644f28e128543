import type { RtmpStatus } from "../../rtmp/rtmp-client.ts";

/** The meaning of a server's status for a player. */
export type PullVerdict = "started" | "ignored" | "notFound" | "refused" | "finished" | "lost";

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
 * Decides what a status of the source's server means. Before media is played, an unknown status of level `error` is a
 * refusal. While media is played, a refusal counts as a loss, which is retried, and an unknown error is ignored. Pure.
 */
export function judgePullStatus(
  status: Pick<RtmpStatus, "level" | "code">,
  phase: "starting" | "playing" = "starting",
): PullVerdict {
  const known = VERDICTS[status.code];
  if (phase === "starting") return known ?? (status.level === "error" ? "refused" : "ignored");
  return known === "notFound" || known === "refused" ? "lost" : (known ?? "ignored");
}
