import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/**
 * Milliseconds between two looks at the children's memory. Between two looks, only the limit of its address space holds
 * a child back.
 */
const LOOK_EVERY_MS = 250;
/** The children's share of the memory of the machine or container. The worker and other programs use the rest. */
const SHARE = 0.6;

export interface WatchedChild {
  readonly pid: number;
  readonly limitBytes: number;
  /** Called once, with the limit that the child exceeded. The callee must kill the child. */
  readonly onExcess: (limitBytes: number) => void;
}

export interface ChildMemoryOptions {
  /** The limit for all children together. */
  readonly budgetBytes: number;
  /** Memory in use; null if it is unknown or the child has ended. */
  readonly residentBytes?: (pid: number) => number | null;
}

/**
 * Watches the memory of all ffmpeg and ffprobe children of this worker. A child that exceeds its limit is ended. If all
 * children together exceed the worker's limit, the largest one is ended. This prevents one heavy source from exhausting
 * the memory, which would end the worker with all of its pushes. If the memory of a process cannot be read (no
 * `/proc`), no child is ended.
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

  /** @returns an idempotent function that ends the watch */
  watch(child: WatchedChild): () => void {
    this.#children.add(child);
    this.#timer ??= setInterval(() => this.look(), LOOK_EVERY_MS).unref();
    return () => this.#forget(child);
  }

  /** Ends the children that exceed a limit. */
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

/** The one instance of this worker, for all of its sources. */
export const childMemory = new ChildMemory({ budgetBytes: availableBytes() * SHARE });

function availableBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

/** Reads the resident memory of a process from the line `VmRSS:   12345 kB`, see proc(5). */
function readResidentBytes(pid: number): number | null {
  try {
    const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}
