import type { Keyring } from "./admin/keyring.ts";
import type { Directory } from "./directory/directory.ts";
import type { Region } from "./region/region.ts";
import type { Task } from "./task/task.ts";

/** What wrangler.toml binds. Plain variables and secrets are read through `readConfig` only. */
export interface Env {
  readonly TASK: DurableObjectNamespace<Task>;
  readonly REGION: DurableObjectNamespace<Region>;
  readonly DIRECTORY: DurableObjectNamespace<Directory>;
  readonly KEYRING: DurableObjectNamespace<Keyring>;
}
