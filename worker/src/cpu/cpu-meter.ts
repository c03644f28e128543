import { availableParallelism } from "node:os";
import { smoothed } from "@roomcast/shared";
import { cancellableSleep } from "../base/cancellable-sleep.ts";
import { busyShare, type CpuTimes } from "./cpu-times.ts";
import { readCpuTimes } from "./read-cpu-times.ts";

const SAMPLE_EVERY_MS = 1000;

export interface CpuMeterOptions {
  /** Never rejects. */
  readonly read?: () => Promise<CpuTimes>;
  /**
   * The number of cores that the default of `ROOMCAST_CAPACITY_UNITS` is based on, so that both loads are comparable.
   */
  readonly cores?: number;
}

/** Measures how busy the CPU is, smoothed over some seconds. There is one meter per process. */
export class CpuMeter {
  readonly #read: () => Promise<CpuTimes>;
  readonly #cores: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #last: CpuTimes | undefined;
  #load: number | null = null;

  constructor(options: CpuMeterOptions = {}) {
    this.#read = options.read ?? readCpuTimes;
    this.#cores = options.cores ?? availableParallelism();
  }

  /** The busy share, 0 to 1, in thousandths, or null if it is not known. */
  get load(): number | null {
    return this.#load === null ? null : Math.round(this.#load * 1000) / 1000;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Takes one reading. The load is that since the previous one. */
  async sample(): Promise<void> {
    const times = await this.#read();
    const last = this.#last;
    this.#last = times;
    if (last === undefined) return;
    const share = busyShare(last, times, this.#cores);
    this.#load = share === null || this.#load === null ? share : smoothed(this.#load, share, times.atMs - last.atMs);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.sample();
      await cancellableSleep(SAMPLE_EVERY_MS, signal);
    }
  }
}
