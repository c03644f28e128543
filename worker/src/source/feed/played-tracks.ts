import type { DemuxedTrack, TrackChoice } from "../demux/demuxer.ts";
import { encryptedSource } from "../encrypted-source.ts";
import { type AudioTrackChoice, chooseTrack } from "../plan/track-choice.ts";
import type { Announcement } from "./tag-feed.ts";

/** Codecs whose tags are made in this process. */
const OWN_CODECS = new Set(["h264", "aac"]);

/** What is played of the tracks of a container. */
export interface PlayedTracks {
  readonly choice: TrackChoice;
  readonly tracks: readonly DemuxedTrack[];
  /** Sentences about what is not as it was asked for. */
  readonly reasons: readonly string[];
}

/**
 * Chooses the tracks that are played: the wished sound where it is there; else of each kind one that can be read in this
 * process, else one for ffmpeg. Pure.
 *
 * @throws RoomcastError `SourceUnsupported` where nothing but encrypted tracks is there
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

/** Whether tags are made of this track in this process. Pure. */
export function isReadHere({ codec }: DemuxedTrack): boolean {
  return OWN_CODECS.has(codec);
}

/** The kinds of track that are to come. Pure. */
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
