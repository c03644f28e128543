import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "e2e",
    include: ["src/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Faults that take their time to be noticed are waited for side by side.
    maxConcurrency: 20,
  },
});
