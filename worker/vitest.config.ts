import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "worker",
    include: ["src/**/*.test.ts"],
    // Patience for a busy machine; no test is meant to take so long.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Files share a process, and what they import is read once: most of the time of small tests went into that.
    isolate: false,
  },
});
