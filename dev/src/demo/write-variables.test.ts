import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it, vi } from "vitest";
import { makeTempFolder, type TempFolder } from "../stack/temp-folder.ts";
import { runningBeside } from "./running-beside.ts";

const MODULE = JSON.stringify(new URL("write-variables.ts", import.meta.url).href);
let folder: TempFolder | undefined;
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await folder?.remove();
});

async function newFolder(): Promise<string> {
  folder = await makeTempFolder();
  return folder.path;
}

/** Starts another process that writes its variables and runs until it is killed. */
async function writer(into: string, edgeUrl: string) {
  const code = `
    const { writeVariables } = await import(${MODULE});
    const variables = { EDGE: ${JSON.stringify(edgeUrl)} };
    console.log(await writeVariables({ command: "dev", variables, folder: ${JSON.stringify(into)} }));
    process.stdin.resume();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const [path] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { child, pid: child.pid, path };
}

describe("Variables files", () => {
  it("exist once per running command, are found by other commands, and are removed at the command's end", async () => {
    const into = await newFolder();
    const first = await writer(into, "http://127.0.0.1:1");
    const second = await writer(into, "http://127.0.0.1:2");
    expect(await readFile(first.path, "utf8")).toBe("EDGE='http://127.0.0.1:1'\n");
    expect((await stat(first.path)).mode & 0o777).toBe(0o600);
    const seen = await runningBeside(into);
    expect(seen.toSorted((a, b) => a.edgeUrl.localeCompare(b.edgeUrl))).toEqual([
      { pid: first.pid, edgeUrl: "http://127.0.0.1:1" },
      { pid: second.pid, edgeUrl: "http://127.0.0.1:2" },
    ]);

    first.child.kill("SIGKILL");
    await vi.waitFor(() => expect(access(first.path)).rejects.toThrow("ENOENT"), { timeout: 10_000 });
    expect(await runningBeside(into)).toEqual([{ pid: second.pid, edgeUrl: "http://127.0.0.1:2" }]);
  });

  it("are removed by runningBeside when their process is gone, and other files stay", async () => {
    const into = await newFolder();
    const gone = spawn(process.execPath, ["-e", ""]);
    await once(gone, "exit");
    await writeFile(join(into, `dev-${gone.pid}.env`), "EDGE='http://127.0.0.1:1'\n");
    const others = [`dev-${process.pid}.env`, "dev.env", "setup.lock"];
    for (const name of others) await writeFile(join(into, name), "EDGE='http://127.0.0.1:1'\n");
    expect(await runningBeside(into)).toEqual([]);
    expect((await readdir(into)).toSorted()).toEqual(others.toSorted());
    expect(await runningBeside(join(into, "not-there"))).toEqual([]);
  });
});
