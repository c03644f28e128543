import { describe, expect, it } from "vitest";
import { printable, printableLine } from "./printable.ts";

describe("printable", () => {
  it.each([
    ["a terminal's escape sequence", "\u001b[31mred", "\u{FFFD}[31mred"],
    ["an escape sequence of one C1 character", "\u009b31mred", "\u{FFFD}31mred"],
    ["NUL, a backspace and DEL", "a\0b\bc\u007f", "a\u{FFFD}b\u{FFFD}c\u{FFFD}"],
    ["a carriage return and a tab", "100 %\rforged\tword", "100 % forged word"],
    ["separators of lines and paragraphs", "a\u2028b\u2029c", "a b c"],
    [
      "bidirectional embeddings, overrides and isolates",
      "\u202aa\u202eb\u2066c\u2069",
      "\u{FFFD}a\u{FFFD}b\u{FFFD}c\u{FFFD}",
    ],
  ])("replaces %s", (_what, text, shown) => {
    expect(printable(text)).toBe(shown);
    expect(printable(shown)).toBe(shown);
  });

  it("leaves words of all languages, emoji and line feeds", () => {
    const text = "教室 42: שלום, مرحبا 👩‍🏫\nnaïve";
    expect(printable(text)).toBe(text);
  });
});

describe("printableLine", () => {
  it("joins lines by a space", () => {
    expect(printableLine('refused\r\n{"level":50}\nforged')).toBe('refused  {"level":50} forged');
  });
});
