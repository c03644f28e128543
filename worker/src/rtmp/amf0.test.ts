import { describe, expect, it } from "vitest";
import { AmfEcmaArray, type AmfValue, amfEntries, decodeAmf0, encodeAmf0, readableAmf0 } from "./amf0.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

const GOLDEN: [string, AmfValue, string][] = [
  ["a number", 1.5, "003ff8000000000000"],
  ["true", true, "0101"],
  ["false", false, "0100"],
  ["a text", "live", "0200046c697665"],
  ["a text beyond ASCII", "房", "020003e688bf"],
  ["an empty text", "", "020000"],
  ["null", null, "05"],
  ["undefined", undefined, "06"],
  ["an object", { app: "push", n: 1 }, "0300036170700200047075736800016e003ff0000000000000000009"],
  ["an empty object", {}, "03000009"],
  ["an associative array", new AmfEcmaArray({ a: true }), "08000000010001610101000009"],
  ["a list", [1, null], "0a00000002003ff000000000000005"],
  ["a date", new Date(1000), "0b408f4000000000000000"],
];

describe("AMF0", () => {
  it.each(GOLDEN)("writes and reads %s", (_what, value, hex) => {
    expect(encodeAmf0([value]).toString("hex")).toBe(hex);
    expect(decodeAmf0(Buffer.from(hex, "hex"))).toEqual([value]);
  });

  it("writes and reads texts over 65,535 bytes as long strings", () => {
    const text = "x".repeat(65_536);
    const bytes = encodeAmf0([text]);
    expect(bytes.subarray(0, 5).toString("hex")).toBe("0c00010000");
    expect(decodeAmf0(bytes)).toEqual([text]);
  });

  it("reads several values in a row, to the last byte", () => {
    expect(decodeAmf0(encodeAmf0(["connect", 1, { app: "push" }, null]))).toEqual([
      "connect",
      1,
      { app: "push" },
      null,
    ]);
  });

  it("reads what it does not write: unsupported, XML and typed objects", () => {
    expect(decodeAmf0(Buffer.from("0d", "hex"))).toEqual([undefined]);
    expect(decodeAmf0(Buffer.from("0f000000033c612f", "hex"))).toEqual(["<a/"]);
    expect(decodeAmf0(Buffer.from("1000015400016e05000009", "hex"))).toEqual([{ n: null }]);
  });

  it("reads past a reference", () => {
    expect(decodeAmf0(Buffer.from("0700010101", "hex"))).toEqual([undefined, true]);
  });

  it.each([
    ["AMF3 after a text", "020001611101", ["a"]],
    ["a movie clip after a text", "0200016104", ["a"]],
    ["an object with an AMF3 value in it", "0300016e050001771101", [{ n: null }]],
    ["an associative array that is cut short", "080000000200016e050001", [{ n: null }]],
    ["an object whose inner object is cut short", "0300016e050001780300", [{ n: null }]],
    ["nothing but an unknown type", "7f", []],
    ["nothing", "", []],
  ])("reads %s as far as possible", (_what, hex, expected) => {
    expect(readableAmf0(Buffer.from(hex, "hex"))).toEqual(expected);
  });

  it("reads an object of millions of keys up to its ten thousandth value, and no further", () => {
    const entries = Array.from(
      { length: 30_000 },
      (_, n) => `0003${Buffer.from(n.toString(36).padStart(3, "0")).toString("hex").slice(0, 6)}05`,
    );
    const [value] = readableAmf0(Buffer.from(`03${entries.join("")}000009`, "hex"));
    const count = Object.keys(amfEntries(value) ?? {}).length;
    expect(count).toBeGreaterThan(9000);
    expect(count).toBeLessThan(10_000);
  });

  it("treats a peer's key __proto__ as an ordinary key", () => {
    const [value] = decodeAmf0(Buffer.from("0300095f5f70726f746f5f5f05000009", "hex"));
    expect(Object.keys(amfEntries(value) ?? {})).toEqual(["__proto__"]);
  });

  it("returns the entries of objects and associative arrays only", () => {
    expect(amfEntries({ a: 1 })).toEqual({ a: 1 });
    expect(amfEntries(new AmfEcmaArray({ a: 1 }))).toEqual({ a: 1 });
    for (const value of [1, "a", null, undefined, true, [1], new Date()]) expect(amfEntries(value)).toBeNull();
  });

  it.each(GOLDEN)("throws only the typed error for %s that is cut anywhere", (_what, _value, hex) => {
    const bytes = Buffer.from(hex, "hex");
    for (let length = 1; length < bytes.length; length += 1) {
      expect(() => decodeAmf0(bytes.subarray(0, length))).toThrow(RtmpProtocolError);
    }
  });

  it.each([
    ["a list that claims 4,294,967,295 values", "0affffffff05"],
    ["a text that claims 4 GiB", "0cffffffff61"],
    ["AMF3", "1101"],
    ["an unknown type", "7f"],
    ["a list nested 1000 deep", "0a00000001".repeat(1000)],
    ["a list of more than ten thousand values", `0a${(10_001).toString(16).padStart(8, "0")}${"05".repeat(10_001)}`],
    ["an object nested 1000 deep", "03000161".repeat(1000)],
  ])("rejects %s with the typed error", (_what, hex) => {
    expect(() => decodeAmf0(Buffer.from(hex, "hex"))).toThrow(RtmpProtocolError);
  });
});
