import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

export interface RunningProcess {
  readonly pid: number;
  readonly parentPid: number;
  /** The arguments of the process, as every user of the machine can read them. */
  readonly commandLine: string;
}

const run = promisify(execFile);

/** Returns all descendants of a process. */
export async function processesBelow(pid: number): Promise<RunningProcess[]> {
  const all = await runningProcesses();
  const found: RunningProcess[] = [];
  for (let parents = [pid]; parents.length > 0; ) {
    const children = all.filter(({ parentPid }) => parents.includes(parentPid));
    found.push(...children);
    parents = children.map((child) => child.pid);
  }
  return found;
}

/** Returns all processes of this machine that have arguments, read from /proc or, where there is none, from `ps`. */
async function runningProcesses(): Promise<RunningProcess[]> {
  if (process.platform !== "linux") return fromPs();
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  const processes = await Promise.all(pids.map((pid) => fromProc(Number(pid))));
  return processes.filter((process) => process !== undefined);
}

/** Returns undefined if the process has ended meanwhile, or is a zombie or a kernel thread. */
async function fromProc(pid: number): Promise<RunningProcess | undefined> {
  try {
    const [stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
    ]);
    // proc(5): the name is in parentheses and may hold anything; then come the state and the parent.
    const parentPid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    return commandLine === "" ? undefined : { pid, parentPid, commandLine: commandLine.replaceAll("\0", " ").trim() };
  } catch {
    return undefined;
  }
}

async function fromPs(): Promise<RunningProcess[]> {
  const { stdout } = await run("ps", ["-axww", "-o", "pid=,ppid=,command="], { maxBuffer: 16 * 1024 * 1024 });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parentPid, commandLine] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || parentPid === undefined || commandLine === undefined || commandLine.startsWith("ps "))
      return [];
    return [{ pid: Number(pid), parentPid: Number(parentPid), commandLine }];
  });
}
