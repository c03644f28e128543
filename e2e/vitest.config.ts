import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "e2e",
    globalSetup: "src/harness/set-up.ts",
    include: ["src/**/*.test.ts"],
    // They take minutes of both cores, and run by themselves: npm run test:long (vitest.long.config.ts).
    exclude: ["src/**/*.long.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Most of the time is waiting for media to play: files run two at a time even on two cores, and where a file says
    // so, all of its tests at once. They come after the other projects, whose tests need the cores.
    maxWorkers: 2,
    maxConcurrency: 20,
    sequence: { groupOrder: 1 },
  },
});
