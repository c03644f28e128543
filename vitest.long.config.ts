import { defineConfig } from "vitest/config";

/** The long tests, one file after another: a fleet under faults, thousands of tasks. */
export default defineConfig({
  test: {
    name: "long",
    globalSetup: "e2e/src/harness/set-up.ts",
    include: ["e2e/src/**/*.long.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    maxWorkers: 1,
    maxConcurrency: 20,
  },
});
