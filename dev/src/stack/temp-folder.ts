import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reaper } from "./reaper.ts";

export interface TempFolder {
  readonly path: string;
  /** Idempotent. */
  remove(): Promise<void>;
}

/** A folder that only this user may read and that goes with this process at the latest. */
export async function makeTempFolder(parent: string = tmpdir()): Promise<TempFolder> {
  const path = await mkdtemp(join(parent, "roomcast-"));
  reaper().addFolder(path);
  return {
    path,
    remove: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      reaper().removeFolder(path);
    },
  };
}
