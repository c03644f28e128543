import type { Directory } from "../objects/directory/directory.ts";
import type { Keyring } from "../objects/keyring/keyring.ts";
import type { Region } from "../objects/region/region.ts";
import type { Task } from "../objects/task/task.ts";

/** What wrangler.toml binds. Plain variables and secrets are read through `readConfig` only. */
export interface Env {
  readonly TASK: DurableObjectNamespace<Task>;
  readonly REGION: DurableObjectNamespace<Region>;
  readonly DIRECTORY: DurableObjectNamespace<Directory>;
  readonly KEYRING: DurableObjectNamespace<Keyring>;
}
