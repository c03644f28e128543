// Tells `exports` of "cloudflare:workers" and `env` what the Worker under test exports and binds.
declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import("../src/index.ts");
  }
  interface Env extends Readonly<import("../src/contracts/env.ts").Env> {}
}
