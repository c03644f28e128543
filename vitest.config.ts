import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: ["shared", "edge", "worker", "dev", "e2e"],
    // The default leaves one core free, which on two of them is half. e2e has its own number.
    maxWorkers: 2,
  },
});
