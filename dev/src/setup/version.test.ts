import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { VERSION } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const manifestSchema = z.object({ version: z.string() });
const rootSchema = manifestSchema.extend({ workspaces: z.array(z.string()) });

function manifest(path: string): unknown {
  return JSON.parse(readFileSync(`${root}${path}`, "utf8"));
}

describe("The version of Roomcast", () => {
  it("is the same in the code and in every package", () => {
    const { version, workspaces } = rootSchema.parse(manifest("package.json"));
    const versions = workspaces.map((folder) => manifestSchema.parse(manifest(`${folder}/package.json`)).version);

    expect([version, ...versions]).toEqual([version, ...workspaces].map(() => VERSION));
  });

  it("has a section in the change log", () => {
    expect(readFileSync(`${root}CHANGELOG.md`, "utf8")).toMatch(new RegExp(`^## \\[${VERSION}\\]`, "mu"));
  });
});
