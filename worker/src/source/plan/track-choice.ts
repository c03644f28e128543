/** One of several tracks of a kind. */
export interface TrackCandidate {
  /** True if the container marks the track as the one to play. */
  readonly isDefault: boolean;
  /** The language as the container writes it (`en`, `eng`, `zh-Hans`, …); undefined if the container gives none. */
  readonly language?: string | undefined;
  /** A sentence that says why the track cannot be played here; undefined if it can be played. */
  readonly problem?: string | undefined;
}

/** A language (`en`, `eng`, `zh-Hans`), or a number among the tracks of the kind, from 1. */
export type AudioTrackChoice = string | number;

export interface TrackDecision<T> {
  /** Undefined if no track can be played. */
  readonly track: T | undefined;
  /** Sentences that say why the requested or the default track is not played. */
  readonly reasons: readonly string[];
}

/**
 * Chooses the requested track. If there is none, it chooses the first default track, and if there is none of those
 * either, the first track. A track that cannot be played is skipped. All readers of tracks use this function, so that a
 * change of the plan never changes the track. Pure.
 */
export function chooseTrack<T extends TrackCandidate>(
  tracks: readonly T[],
  choice?: AudioTrackChoice,
): TrackDecision<T> {
  const inOrder = [...tracks.filter((one) => one.isDefault), ...tracks.filter((one) => !one.isDefault)];
  const chosen = choice === undefined ? undefined : inOrder.filter((one) => isChosen(one, tracks.indexOf(one), choice));
  const playable = (one: T) => one.problem === undefined;
  const track = chosen?.find(playable) ?? inOrder.find(playable);
  const first = chosen?.[0] ?? inOrder[0];
  const reasons: string[] = [];
  if (choice !== undefined && chosen?.length === 0) {
    reasons.push(`There is no audio track ${JSON.stringify(choice)}: the source has ${listed(tracks)}.`);
  }
  if (first?.problem !== undefined) {
    const instead = track === undefined ? "" : ` Track ${tracks.indexOf(track) + 1} of its kind is played instead.`;
    reasons.push(`${first.problem}${instead}`);
  }
  return { track, reasons };
}

/**
 * Returns true if two tags mean the same language: `en` matches `eng` and `en-GB`, but `en-US` does not match `en-GB`.
 * Pure.
 */
export function sameLanguage(found: string, requested: string): boolean {
  const [ours, theirs] = [localeOf(found), localeOf(requested)];
  if (ours === undefined || theirs === undefined) return found.toLowerCase() === requested.toLowerCase();
  return (
    ours.language === theirs.language && !differs(ours.region, theirs.region) && !differs(ours.script, theirs.script)
  );
}

function differs(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

function isChosen({ language }: TrackCandidate, index: number, choice: AudioTrackChoice): boolean {
  if (typeof choice === "number" || /^\d+$/.test(choice)) return index + 1 === Number(choice);
  return language !== undefined && sameLanguage(language, choice);
}

/** Lists up to ten tracks: `1 (en), 2 (no language named)`. */
function listed(tracks: readonly TrackCandidate[]): string {
  const shown = tracks.slice(0, 10).map(({ language }, index) => `${index + 1} (${language ?? "no language named"})`);
  return tracks.length === 0 ? "none" : shown.join(", ") + (tracks.length > shown.length ? ", …" : "");
}

/** Parses a language tag. The two or three codes of one language become the same: `ger` and `deu` become `de`. */
function localeOf(tag: string): Intl.Locale | undefined {
  try {
    return new Intl.Locale(tag.replaceAll("_", "-"));
  } catch {
    return undefined;
  }
}
