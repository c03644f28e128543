import { expect, test } from "vitest";
import { BitReader } from "./bit-reader.ts";
import { BitWriter } from "./bit-writer.ts";

test("what was written is read again", () => {
  const unsigned = [0, 1, 2, 3, 7, 254, 255, 8160, 65_535, 2 ** 31 - 2];
  const signed = [0, 1, -1, 2, -2, 25, -25, 2 ** 30 - 1, -(2 ** 30 - 1)];
  const writer = new BitWriter();
  writer.flag(true);
  writer.bits(0xdeadbeef, 32);
  for (const value of unsigned) writer.unsignedExpGolomb(value);
  for (const value of signed) writer.signedExpGolomb(value);
  writer.alignToByte(1);
  writer.bits(5, 3);
  writer.alignToByte(0);

  const reader = new BitReader(writer.toBytes());
  expect(reader.flag()).toBe(true);
  expect(reader.bits(32)).toBe(0xdeadbeef);
  expect(unsigned.map(() => reader.unsignedExpGolomb())).toEqual(unsigned);
  expect(signed.map(() => reader.signedExpGolomb() + 0)).toEqual(signed);
  reader.alignToByte();
  expect(reader.bits(8)).toBe(0b1010_0000);
  expect(reader.bitsLeft).toBe(0);
});
