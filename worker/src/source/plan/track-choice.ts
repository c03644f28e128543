/** One of several tracks of a kind. */
export interface TrackCandidate {
  /** The container marks it as the one to play. */
  readonly isDefault: boolean;
  /** As the container writes it: `en`, `eng`, `zh-Hans`, …; undefined: it does not say. */
  readonly language?: string | undefined;
  /** A sentence that says why it cannot be played here; undefined: it can. */
  readonly problem?: string | undefined;
}

/** A language (`en`, `eng`, `zh-Hans`), or a number among the tracks of the kind, from 1. */
export type AudioTrackWish = string | number;

export interface TrackDecision<T> {
  /** undefined: none of them can be played. */
  readonly track: T | undefined;
  /** Sentences about what is not as it was asked for, or as the container proposes. */
  readonly reasons: readonly string[];
}

/**
 * Chooses the wished track, else the first default one, else the first one; those that cannot be played are passed
 * over. Everything that reads tracks chooses by this, so that a change of the plan never changes the track. Pure.
 */
export function chooseTrack<T extends TrackCandidate>(tracks: readonly T[], wish?: AudioTrackWish): TrackDecision<T> {
  const inOrder = [...tracks.filter((one) => one.isDefault), ...tracks.filter((one) => !one.isDefault)];
  const wished = wish === undefined ? undefined : inOrder.filter((one) => isWished(one, tracks.indexOf(one), wish));
  const playable = (one: T) => one.problem === undefined;
  const track = wished?.find(playable) ?? inOrder.find(playable);
  const first = wished?.[0] ?? inOrder[0];
  const reasons: string[] = [];
  if (wish !== undefined && wished?.length === 0) {
    reasons.push(`There is no audio track ${JSON.stringify(wish)}: the source has ${listed(tracks)}.`);
  }
  if (first?.problem !== undefined) {
    const instead = track === undefined ? "" : ` Track ${tracks.indexOf(track) + 1} of its kind is played instead.`;
    reasons.push(`${first.problem}${instead}`);
  }
  return { track, reasons };
}

/** Whether two language tags mean the same language: `en` is `eng` and `en-GB`, but `en-US` is not `en-GB`. Pure. */
export function sameLanguage(found: string, wished: string): boolean {
  const [ours, theirs] = [localeOf(found), localeOf(wished)];
  if (ours === undefined || theirs === undefined) return found.toLowerCase() === wished.toLowerCase();
  return (
    ours.language === theirs.language && !differs(ours.region, theirs.region) && !differs(ours.script, theirs.script)
  );
}

function differs(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

function isWished({ language }: TrackCandidate, index: number, wish: AudioTrackWish): boolean {
  if (typeof wish === "number" || /^\d+$/.test(wish)) return index + 1 === Number(wish);
  return language !== undefined && sameLanguage(language, wish);
}

/** `2 of them: 1 (en), 2 (no language named)`. */
function listed(tracks: readonly TrackCandidate[]): string {
  const shown = tracks.slice(0, 10).map(({ language }, index) => `${index + 1} (${language ?? "no language named"})`);
  return tracks.length === 0 ? "none" : shown.join(", ") + (tracks.length > shown.length ? ", …" : "");
}

/** Also makes one of the two or three codes that a language has: `ger` and `deu` are `de`. */
function localeOf(tag: string): Intl.Locale | undefined {
  try {
    return new Intl.Locale(tag.replaceAll("_", "-"));
  } catch {
    return undefined;
  }
}
