import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: ["shared", "edge", "worker", "dev", "e2e"],
  },
});
