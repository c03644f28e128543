import { app } from "./app.ts";
import type { Env } from "./env.ts";

/** @public wrangler.toml binds it. */
export { Keyring } from "./admin/keyring.ts";
/** @public wrangler.toml binds it. */
export { Directory } from "./directory/directory.ts";
/** @public wrangler.toml binds it. */
export { Region } from "./region/region.ts";
/** @public wrangler.toml binds it. */
export { Task } from "./task/task.ts";

/** @public The Worker itself. */
export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
