import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { childrenOf } from "../base/process-usage.ts";

const LOOK_EVERY_MS = 50;
const LONGEST_STALL = /^nodejs_eventloop_lag_max_seconds\s+(\S+)$/m;

/** The resources that a worker used during a wait. */
export interface WorkerUse {
  /** Resident memory, MB (10^6 bytes): at the beginning, the most, and in the end. */
  readonly beforeMb: number;
  readonly peakMb: number;
  readonly afterMb: number;
  /** The longest time for which its event loop did not turn, ms, with the 10 ms between two looks. */
  readonly stallMs: number;
  /** The most that all children had at one moment, and that any of them had, MB. */
  readonly childrenPeakMb: number;
  readonly childPeakMb: number;
}

/** Watches a worker and what it starts, from outside. */
export class WorkerWatch {
  readonly #pid: number;
  readonly #metricsUrl: string;

  constructor(pid: number, metricsPort: number) {
    this.#pid = pid;
    this.#metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;
  }

  childPids(): number[] {
    return childrenOf(this.#pid);
  }

  async during(awaited: () => Promise<void>): Promise<WorkerUse> {
    await this.#longestStallMs();
    const beforeMb = memoryMb(this.#pid, "VmRSS");
    // proc(5): the high water mark begins again.
    writeFileSync(`/proc/${this.#pid}/clear_refs`, "5");
    let childrenPeakMb = 0;
    let childPeakMb = 0;
    const stopped = new AbortController();
    const looking = (async () => {
      while (!stopped.signal.aborted) {
        const pids = this.childPids();
        childPeakMb = Math.max(childPeakMb, ...pids.map((pid) => memoryMb(pid, "VmHWM")));
        childrenPeakMb = Math.max(
          childrenPeakMb,
          pids.reduce((sum, pid) => sum + memoryMb(pid, "VmRSS"), 0),
        );
        await sleep(LOOK_EVERY_MS);
      }
    })();
    try {
      await awaited();
    } finally {
      stopped.abort();
      await looking;
    }
    return {
      beforeMb,
      peakMb: memoryMb(this.#pid, "VmHWM"),
      afterMb: memoryMb(this.#pid, "VmRSS"),
      stallMs: await this.#longestStallMs(),
      childrenPeakMb: Math.max(childrenPeakMb, childPeakMb),
      childPeakMb,
    };
  }

  /** Since the last time that anybody asked. */
  async #longestStallMs(): Promise<number> {
    const text = await (await fetch(this.#metricsUrl, { headers: { connection: "close" } })).text();
    return Number(LONGEST_STALL.exec(text)?.[1] ?? Number.NaN) * 1000;
  }
}

/** 0: it has ended. */
function memoryMb(pid: number, field: "VmRSS" | "VmHWM"): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    return (Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(text)?.[1] ?? 0) * 1024) / 1e6;
  } catch {
    return 0;
  }
}
