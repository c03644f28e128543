import { readFile } from "node:fs/promises";
import { describeConfig } from "@roomcast/worker/config";
import { expect, test } from "vitest";

const read = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), "utf8");

test("docs/operations.md has a row for every setting of a worker", async () => {
  const names = describeConfig().match(/ROOMCAST_[A-Z_]+(?= )/g) ?? [];
  const documented = [...(await read("docs/operations.md")).matchAll(/^\| `(ROOMCAST_[A-Z_]+)`/gm)].map(
    ([, name]) => name,
  );
  expect(new Set(documented)).toEqual(new Set(names));
});

test("docs/operations.md has a row for every setting of the edge", async () => {
  const [, schema = ""] = (await read("edge/src/base/config.ts")).split("const configSchema = ");
  const names = [...schema.slice(0, schema.indexOf("\n});")).matchAll(/^ {2}([A-Z_]+):/gm)].map(([, name]) => name);
  const documented = [...(await read("docs/operations.md")).matchAll(/^\| `(?!ROOMCAST_|FF)([A-Z_]+)`/gm)].map(
    ([, name]) => name,
  );
  expect(new Set(documented)).toEqual(new Set(names));
});
