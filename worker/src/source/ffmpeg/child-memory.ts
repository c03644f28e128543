import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/** Between two looks at the children's memory; what a child can take meanwhile is bounded by its address space. */
const LOOK_EVERY_MS = 250;
/** Of the machine's memory, or of the container's. The rest is the worker's own and its neighbours'. */
const SHARE = 0.6;

export interface WatchedChild {
  readonly pid: number;
  readonly limitBytes: number;
  /** Called once, with what it may have at most; it is to be killed. */
  readonly onExcess: (limitBytes: number) => void;
}

export interface ChildMemoryOptions {
  /** For all children together. */
  readonly budgetBytes: number;
  /** Memory in use; null: not known, or the child has ended. */
  readonly residentBytes?: (pid: number) => number | null;
}

/**
 * The memory of all ffmpegs and ffprobes of this worker. A child that takes more than it may is ended, and where all of
 * them together take more than the worker has for them, the largest: a heavy source never ends the worker, and so every
 * push on it. Where a process's memory cannot be read (no `/proc`), nothing is ended.
 */
export class ChildMemory {
  readonly #budgetBytes: number;
  readonly #residentBytes: (pid: number) => number | null;
  readonly #children = new Set<WatchedChild>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ budgetBytes, residentBytes = readResidentBytes }: ChildMemoryOptions) {
    this.#budgetBytes = budgetBytes;
    this.#residentBytes = residentBytes;
  }

  /** @returns what ends the watch; idempotent */
  watch(child: WatchedChild): () => void {
    this.#children.add(child);
    this.#timer ??= setInterval(() => this.look(), LOOK_EVERY_MS).unref();
    return () => this.#forget(child);
  }

  /** Ends what takes too much. */
  look(): void {
    let largest: { child: WatchedChild; bytes: number } | undefined;
    let sum = 0;
    for (const child of this.#children) {
      const bytes = this.#residentBytes(child.pid) ?? 0;
      if (bytes > child.limitBytes) {
        this.#end(child, child.limitBytes);
        continue;
      }
      sum += bytes;
      if (bytes > (largest?.bytes ?? 0)) largest = { child, bytes };
    }
    if (sum > this.#budgetBytes && largest !== undefined) this.#end(largest.child, Math.round(largest.bytes));
  }

  #end(child: WatchedChild, limitBytes: number): void {
    this.#forget(child);
    child.onExcess(limitBytes);
  }

  #forget(child: WatchedChild): void {
    this.#children.delete(child);
    if (this.#children.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Of this worker, for all of its sources. */
export const childMemory = new ChildMemory({ budgetBytes: availableBytes() * SHARE });

function availableBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

/** proc(5): `VmRSS:   12345 kB`. */
function readResidentBytes(pid: number): number | null {
  try {
    const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}
