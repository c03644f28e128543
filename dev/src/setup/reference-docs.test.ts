import { readFile } from "node:fs/promises";
import { ERROR_CODES } from "@roomcast/shared";
import { describeConfig } from "@roomcast/worker/config";
import { describe, expect, it } from "vitest";

const read = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), "utf8");

describe("Reference documents", () => {
  describe("docs/operations.md", () => {
    it("has a row for every setting of a worker", async () => {
      const names = describeConfig().match(/ROOMCAST_[A-Z_]+(?= )/g) ?? [];
      const documented = [...(await read("docs/operations.md")).matchAll(/^\| `(ROOMCAST_[A-Z_]+)`/gm)].map(
        ([, name]) => name,
      );
      expect(new Set(documented)).toEqual(new Set(names));
    });

    it("has a row for every setting of the edge", async () => {
      const [, schema = ""] = (await read("edge/src/base/config.ts")).split("const configSchema = ");
      const names = [...schema.slice(0, schema.indexOf("\n});")).matchAll(/^ {2}([A-Z_]+):/gm)].map(([, name]) => name);
      const documented = [...(await read("docs/operations.md")).matchAll(/^\| `(?!ROOMCAST_|FF)([A-Z_]+)`/gm)].map(
        ([, name]) => name,
      );
      expect(new Set(documented)).toEqual(new Set(names));
    });
  });

  describe("The documents of the API", () => {
    it("name every error code in a table that says what it means or what to do", async () => {
      const rows = (await Promise.all(["docs/api.md", "docs/tencent-api.md"].map(read)))
        .flatMap((text) => text.split("\n"))
        .filter((line) => line.startsWith("|"));
      const names = rows.flatMap((row) => [...row.matchAll(/`(…?[A-Za-z.]+)`/gu)].map(([, name = ""]) => name));
      const shortened = new Set(names.filter((name) => name.startsWith("…")).map((name) => name.slice(1)));
      const undocumented = Object.keys(ERROR_CODES).filter(
        (code) => !names.includes(code) && !shortened.has(code.slice(code.indexOf(".") + 1)),
      );
      expect(undocumented).toEqual([]);
    });
  });
});
