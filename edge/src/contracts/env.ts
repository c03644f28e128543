import type { DirectoryObject } from "./directory-object.ts";
import type { KeyringObject } from "./keyring-object.ts";
import type { RegionObject } from "./region-object.ts";
import type { RootRegistry } from "./root-registry.ts";
import type { TaskObject } from "./task-object.ts";

/** The bindings of wrangler.toml. Plain variables and secrets are read through `readConfig` only. */
export interface Env {
  readonly TASK: DurableObjectNamespace<TaskObject>;
  readonly REGION: DurableObjectNamespace<RegionObject>;
  /** The object with the name `ROOT` is the root registry; every other one is the Directory of an SdkAppId. */
  readonly DIRECTORY: DurableObjectNamespace<DirectoryObject & RootRegistry>;
  readonly KEYRING: DurableObjectNamespace<KeyringObject>;
}
