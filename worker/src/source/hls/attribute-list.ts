/**
 * The attributes of a tag (RFC 8216, section 4.2), with names in upper case and values without their quotes. The parser
 * accepts what players accept: spaces around names and values, names in lower case, and missing quotes. Parsing takes
 * linear time.
 */
export class AttributeList {
  readonly #values = new Map<string, string>();

  /** @param expand replaces the variables in a value */
  constructor(text: string, expand: (value: string) => string = (value) => value) {
    let at = 0;
    while (at < text.length) {
      const equals = text.indexOf("=", at);
      if (equals === -1) return;
      // Anything before the last comma is not part of the name.
      const name = text.slice(Math.max(at, text.lastIndexOf(",", equals) + 1), equals).trim();
      const { value, next } = readValue(text, equals + 1);
      const key = name.toUpperCase();
      if (key !== "" && !this.#values.has(key)) this.#values.set(key, expand(value));
      at = next;
    }
  }

  /** Returns the value, or undefined if the attribute is absent or empty. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === "" ? undefined : value;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Returns the value as a number, or undefined if the attribute is absent or is not a number. */
  number(name: string): number | undefined {
    return readDecimal(this.#values.get(name));
  }

  /** Returns an enumerated value in upper case, or undefined if the attribute is absent or empty. */
  keyword(name: string): string | undefined {
    return this.text(name)?.toUpperCase();
  }

  flag(name: string): boolean {
    const value = this.keyword(name);
    return value === "YES" || value === "TRUE" || value === "1";
  }
}

/**
 * Reads a decimal number, with a point or a comma, at the beginning of a string. Returns undefined if there is none.
 */
export function readDecimal(text: string | undefined): number | undefined {
  const match = /^\s*([+-]?\d+)(?:[.,](\d+))?/.exec(text ?? "");
  if (match === null) return undefined;
  return finite(`${match[1]}.${match[2] ?? "0"}`);
}

export function finite(text: string): number | undefined {
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

const NEXT_ATTRIBUTE = /,\s*[A-Z][A-Z0-9-]*\s*=/gi;

function readValue(text: string, from: number): { value: string; next: number } {
  let at = from;
  while (text[at] === " " || text[at] === "\t") at += 1;
  if (text[at] === '"') {
    const close = text.indexOf('"', at + 1);
    if (close !== -1) {
      let after = close + 1;
      while (text[after] === " " || text[after] === "\t") after += 1;
      if (after >= text.length || text[after] === ",") return { value: text.slice(at + 1, close), next: after + 1 };
    }
  }
  // If the value has no quotes, or its closing quote is not followed by a comma or the end, it ends before the next
  // part that looks like an attribute.
  NEXT_ATTRIBUTE.lastIndex = at;
  const end = NEXT_ATTRIBUTE.exec(text)?.index ?? text.length;
  return { value: withoutQuotes(text, at, end), next: end + 1 };
}

const QUOTES = new Set(['"', "'", "\\", ",", " ", "\t"]);

function withoutQuotes(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && QUOTES.has(text[start] ?? "")) start += 1;
  while (end > start && QUOTES.has(text[end - 1] ?? "")) end -= 1;
  return text.slice(start, end);
}
