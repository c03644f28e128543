import { readdirSync, readFileSync } from "node:fs";

/** The kernel counts CPU time in ticks of 10 ms (USER_HZ, fixed at 100 on Linux). */
const TICKS_PER_SECOND = 100;

interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  /** Own time and that of children which have ended and were waited for, seconds. */
  readonly cpuSeconds: number;
}

/** CPU time of processes and all that descends from them, ended descendants included, seconds. */
export function cpuSecondsOf(rootPids: readonly number[]): number {
  return treeOf(rootPids).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

/** Proportional set size of processes and all that descends from them, bytes: shared pages are counted once. */
export function pssBytesOf(rootPids: readonly number[]): number {
  return treeOf(rootPids).reduce((sum, { pid }) => sum + pssBytes(pid), 0);
}

/** All that descends from a process and runs now. */
export function childrenOf(pid: number): number[] {
  return treeOf([pid]).flatMap((child) => (child.pid === pid ? [] : [child.pid]));
}

function treeOf(rootPids: readonly number[]): ProcessStat[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== undefined);
  const wanted = new Set(rootPids);
  // A child may have a lower number than its parent: look until no more are found.
  for (let before = -1; before !== wanted.size; ) {
    before = wanted.size;
    for (const { pid, parentPid } of all) if (wanted.has(parentPid)) wanted.add(pid);
  }
  return all.filter(({ pid }) => wanted.has(pid));
}

/** proc(5): the command's name is in parentheses and may hold blanks; fields are counted after it. */
function statOf(pid: number): ProcessStat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  const ticks = field(14) + field(15) + field(16) + field(17);
  return { pid, parentPid: field(4), cpuSeconds: ticks / TICKS_PER_SECOND };
}

function pssBytes(pid: number): number {
  const text = read(`/proc/${pid}/smaps_rollup`);
  const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(text ?? "")?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/** A process may end between being listed and being read. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
