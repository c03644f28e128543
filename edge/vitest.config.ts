import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineProject } from "vitest/config";

export default defineProject({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "../wrangler.toml" },
      miniflare: {
        bindings: {
          CREDENTIALS: JSON.stringify([
            { secretId: "admin", secretKey: "admin-secret-key", sdkAppIds: "*", role: "admin" },
            {
              secretId: "school",
              secretKey: "school-secret-key",
              sdkAppIds: [1400000001, 1400000002],
              role: "operator",
            },
            { secretId: "rival", secretKey: "rival-secret-key", sdkAppIds: [1400000009], role: "operator" },
            { secretId: "watcher", secretKey: "watcher-secret-key", sdkAppIds: [1400000001], role: "viewer" },
          ]),
          WORKER_TOKEN_KEY: JSON.stringify([
            "a key for worker tokens, only for tests",
            "an older key for worker tokens, only for tests",
          ]),
          SEAL_KEY: JSON.stringify([
            "a key for sealing requests, only for tests",
            "an older key for sealing requests, only for tests",
          ]),
          TRTC_APPS: JSON.stringify({ 1400000002: "the app's SecretKey, only for tests" }),
          TRTC_CALLBACK_KEYS: JSON.stringify({ 1400000001: "keyOfRoomEvents" }),
          DEFAULT_REGION: "ap-default",
          WORKER_GRACE_MS: "1000",
          CALLBACK_TIMEOUT_MS: "300",
          CALLBACK_RETRY_MS: "200",
          CALLBACK_GIVE_UP_MS: "1000",
          UPDATE_TIMEOUT_MS: "2000",
          // Tests look more often than people.
          RATE_LIMIT_PER_SECOND: "0",
        },
      },
    }),
  ],
  test: {
    name: "edge",
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // Files share a workerd: they use names of their own for all that is kept, and it starts once.
    isolate: false,
  },
});
