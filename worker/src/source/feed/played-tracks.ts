import type { DemuxedTrack, TrackChoice } from "../demux/demuxer.ts";
import { encryptedSource } from "../encrypted-source.ts";
import { type AudioTrackChoice, chooseTrack } from "../plan/track-choice.ts";
import type { Announcement } from "./tag-feed.ts";

/** The codecs that this process demuxes into tags. */
const OWN_CODECS = new Set(["h264", "aac"]);

/** The played tracks of a container. */
export interface PlayedTracks {
  readonly choice: TrackChoice;
  readonly tracks: readonly DemuxedTrack[];
  /** Sentences that say why a requested or default track is not played. */
  readonly reasons: readonly string[];
}

/**
 * Chooses the played tracks. The requested sound is preferred, then tracks that this process can read, then tracks for
 * ffmpeg. Pure.
 *
 * @throws RoomcastError `SourceUnsupported` if all tracks are encrypted
 */
export function choosePlayedTracks(tracks: readonly DemuxedTrack[], audioTrack?: AudioTrackChoice): PlayedTracks {
  const video = chooseTrack(candidates(tracks, "video"));
  const audio = chooseTrack(candidates(tracks, "audio"), audioTrack);
  const chosen = [video, audio].flatMap(({ track }) => track?.of ?? []);
  const locked = tracks.find(({ kind, encryption }) => kind !== "other" && encryption !== undefined);
  if (chosen.length === 0 && locked?.encryption !== undefined) throw encryptedSource(locked.encryption);
  return {
    choice: { video: video.track?.of.id ?? null, audio: audio.track?.of.id ?? null },
    tracks: chosen,
    reasons: [...video.reasons, ...audio.reasons],
  };
}

/** Returns true if this process makes tags of the track. Pure. */
export function isReadHere({ codec }: DemuxedTrack): boolean {
  return OWN_CODECS.has(codec);
}

/** Returns the kinds of the chosen tracks. Pure. */
export function kindsOf({ video, audio }: TrackChoice): readonly ("audio" | "video")[] {
  return [...(video === null ? [] : (["video"] as const)), ...(audio === null ? [] : (["audio"] as const))];
}

export function announcementOf({ choice, reasons }: PlayedTracks): Announcement {
  return {
    ...(choice.video === null ? {} : { video: {} }),
    ...(choice.audio === null ? {} : { audio: true }),
    reasons,
  };
}

function candidates(tracks: readonly DemuxedTrack[], kind: DemuxedTrack["kind"]) {
  return tracks
    .filter((track) => track.kind === kind)
    .map((of) => ({
      of,
      isDefault: isReadHere(of) && of.enabled !== false,
      language: of.language,
      problem: of.encryption === undefined ? undefined : `The ${kind} is encrypted (${of.encryption}).`,
    }));
}
