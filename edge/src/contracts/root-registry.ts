/** The name of the one root registry, among the objects of `DIRECTORY`. */
export const ROOT = "root";

/** Knows which applications and which regions there are. */
export interface RootRegistry extends Rpc.DurableObjectBranded {
  know(kind: "app" | "region", name: string): void;

  /** Names of one kind that the registry has been told of. */
  known(kind: "app" | "region"): string[];

  /** Rejects with the reason if nothing can be written; resolves once a write is on disk. */
  writes(): Promise<void>;
}
