/** The name of the root registry, which is one of the objects of `DIRECTORY`. */
export const ROOT = "root";

/** The registry of the existing applications and regions. */
export interface RootRegistry extends Rpc.DurableObjectBranded {
  know(kind: "app" | "region", name: string): void;

  /** Returns the registered names of one kind. */
  known(kind: "app" | "region"): string[];

  /** Resolves once a write is on disk, and rejects with the reason if nothing can be written. */
  writes(): Promise<void>;
}
