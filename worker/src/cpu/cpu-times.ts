/** A reading of counters that only grow. */
export interface CpuTimes {
  /** Time of the reading on a monotonic clock, ms. */
  readonly atMs: number;
  /** Times of the cores that this process may use, for all processes, in any unit. Null if unavailable. */
  readonly machine: { readonly busy: number; readonly total: number } | null;
  /** What this process' control group has used, its ffmpeg children included, ms. Null if unavailable. */
  readonly groupMs: number | null;
}

/**
 * Returns the share of its CPU that is no longer available to a worker, 0 to 1, or null if it is unknown. Pure.
 *
 * The machine's cores count whatever keeps them busy: a neighbour takes as much from the next task as a task does, and
 * `process.cpuUsage()` would see neither a neighbour nor, while it runs, an ffmpeg. Time stolen from a virtual machine
 * is
 * busy too. In a container with a quota the machine may idle while the group is throttled, so the larger share counts.
 */
export function busyShare(before: CpuTimes, after: CpuTimes, cores: number): number | null {
  const shares: number[] = [];
  if (before.machine !== null && after.machine !== null) {
    const total = after.machine.total - before.machine.total;
    if (total > 0) shares.push((after.machine.busy - before.machine.busy) / total);
  }
  const elapsedMs = after.atMs - before.atMs;
  if (before.groupMs !== null && after.groupMs !== null && elapsedMs > 0) {
    shares.push((after.groupMs - before.groupMs) / (elapsedMs * cores));
  }
  // proc(5): some counters may go back a little.
  return shares.length === 0 ? null : Math.min(1, Math.max(0, ...shares));
}

/** proc(5), /proc/stat: user nice system idle iowait irq softirq steal, then guest times that user holds already. */
const STAT_LINE = /^cpu(\d+) (.+)$/gm;
const COUNTED_FIELDS = 8;
const [IDLE, IO_WAIT] = [3, 4];

/**
 * Adds up the cores in /proc/stat that are allowed; all of them if that is unknown. Returns null if there are none.
 * Pure.
 */
export function parseProcStat(text: string, allowed: ReadonlySet<number> | null): CpuTimes["machine"] {
  let [busy, total] = [0, 0];
  for (const [, core, fields = ""] of text.matchAll(STAT_LINE)) {
    if (allowed?.has(Number(core)) === false) continue;
    for (const [field, ticks] of fields.split(" ").slice(0, COUNTED_FIELDS).map(Number).entries()) {
      total += ticks;
      if (field !== IDLE && field !== IO_WAIT) busy += ticks;
    }
  }
  return Number.isFinite(total) && total > 0 ? { busy, total } : null;
}

/** cpuset(7), list format, of /proc/self/status: `Cpus_allowed_list: 0-3,8`. Null: it is not said. Pure. */
export function parseAllowedCores(status: string): Set<number> | null {
  const list = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status)?.[1];
  if (list === undefined) return null;
  const cores = new Set<number>();
  for (const range of list.split(",")) {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    for (let core = first; core <= last; core += 1) cores.add(core);
  }
  return cores;
}

/** cgroups(7): the path of the group in the unified hierarchy (version 2), from /proc/self/cgroup. Pure. */
export function parseGroupPath(text: string): string | null {
  return /^0::(\/.*)$/m.exec(text)?.[1] ?? null;
}

/** `usage_usec` of a group's cpu.stat, in ms. Null: it is not there. Pure. */
export function parseGroupUsage(text: string): number | null {
  const usec = /^usage_usec (\d+)$/m.exec(text)?.[1];
  return usec === undefined ? null : Number(usec) / 1000;
}
