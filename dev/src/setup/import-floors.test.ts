import { describe, expect, it } from "vitest";
import { importsOf, upwardImports } from "./import-floors.ts";

describe("Import floors", () => {
  describe("upwardImports", () => {
    it("finds nothing where each folder uses only folders below it", () => {
      const imports = [
        { from: "main.ts", to: "doors/door.ts" },
        { from: "main.ts", to: "base/clock.ts" },
        { from: "doors/door.ts", to: "base/clock.ts" },
        { from: "doors/door.ts", to: "doors/lock.ts" },
      ];
      expect(upwardImports(imports)).toEqual([]);
    });

    it("names each import of a circle of folders, though no file imports itself", () => {
      const imports = [
        { from: "task/task.ts", to: "callback/send.ts" },
        { from: "callback/outbox.ts", to: "seal/seal.ts" },
        { from: "seal/subjects.ts", to: "task/task-id.ts" },
        { from: "task/task.ts", to: "base/clock.ts" },
      ];
      expect(upwardImports(imports)).toEqual([
        { from: "task/task.ts", to: "callback/send.ts", wayBack: ["callback", "seal", "task"] },
        { from: "callback/outbox.ts", to: "seal/seal.ts", wayBack: ["seal", "task", "callback"] },
        { from: "seal/subjects.ts", to: "task/task-id.ts", wayBack: ["task", "callback", "seal"] },
      ]);
    });

    it("treats a folder and the folder inside it as two", () => {
      const imports = [
        { from: "source/open.ts", to: "source/hls/feed.ts" },
        { from: "source/hls/feed.ts", to: "source/plan.ts" },
      ];
      expect(upwardImports(imports).map(({ wayBack }) => wayBack)).toEqual([
        ["source/hls", "source"],
        ["source", "source/hls"],
      ]);
    });

    it("refuses an import of a package's root files by a folder that they use", () => {
      const imports = [
        { from: "main.ts", to: "doors/door.ts" },
        { from: "doors/door.ts", to: "config.ts" },
      ];
      expect(upwardImports(imports)).toHaveLength(2);
    });
  });

  describe("importsOf", () => {
    it.each([
      'import { a } from "../b/c.ts";',
      'import type { A } from "../b/c.ts";',
      'import { type A } from "../b/c.ts";',
      'import "../b/c.ts";',
      'export { a } from "../b/c.ts";',
      'export type { A } from "../b/c.ts";',
      'export * from "../b/c.ts";',
      'const c = await import("../b/c.ts");',
      'type C = typeof import("../b/c.ts");',
      'type A = import("../b/c.ts").A;',
    ])("sees the import in %s", (text) => {
      expect(importsOf("a/a.ts", text)).toEqual([{ from: "a/a.ts", to: "b/c.ts" }]);
    });

    it("ignores packages, and texts that only look like imports", () => {
      expect(
        importsOf("a/a.ts", 'import { z } from "zod"; // import "../b/c.ts"\nconst text = \'import "./d.ts"\';'),
      ).toEqual([]);
    });
  });
});
