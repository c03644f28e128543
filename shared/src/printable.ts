/**
 * Replaces the characters with which foreign text could steer a terminal, forge lines of a log or reverse what is read:
 * control characters, line separators and bidirectional overrides. White space becomes a space and anything else U+FFFD,
 * so that the patterns of `shownText` find the same words before and after. Line feeds stay. Idempotent.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => (/\s/.test(character) ? " " : "\u{FFFD}"));
}

/** Returns printable text in one line. Idempotent. */
export function printableLine(text: string): string {
  return printable(text.replaceAll("\n", " "));
}

const UNPRINTABLE = /(?!\n)[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
