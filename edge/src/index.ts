import { app } from "./app.ts";
import type { Env } from "./contracts/env.ts";

/** @public wrangler.toml binds it. */
export { Directory } from "./objects/directory/directory.ts";
/** @public wrangler.toml binds it. */
export { Keyring } from "./objects/keyring/keyring.ts";
/** @public wrangler.toml binds it. */
export { Region } from "./objects/region/region.ts";
/** @public wrangler.toml binds it. */
export { Task } from "./objects/task/task.ts";

/** @public The Worker itself. */
export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
