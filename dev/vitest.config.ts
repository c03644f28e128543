import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "dev",
    include: ["src/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Files share a process, and what they import is read once.
    isolate: false,
  },
});
