import { readdir, readFile } from "node:fs/promises";

interface Child {
  readonly pid: number;
  readonly line: string;
  readonly environment: string;
}

/**
 * Lists the ffmpeg and ffprobe children of this process, with their environment and the arguments that other users can
 * see.
 */
export async function children(): Promise<Child[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const read = async (file: string) => await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
      const stat = await read("stat");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      if (parent !== process.pid) return [];
      return [
        { pid: Number(pid), line: (await read("cmdline")).replaceAll("\0", " "), environment: await read("environ") },
      ];
    }),
  );
  return found.flat().filter(({ line }) => /ffmpeg|ffprobe/.test(line));
}

export async function childCommandLines(): Promise<string[]> {
  return (await children()).map(({ line }) => line);
}
