import { chmod, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeTempFolder, type TempFolder } from "../stack/temp-folder.ts";
import { ensureTools } from "./ensure-tools.ts";

/** The only folder on PATH, so that no program is found unless a test adds it. */
let folder: TempFolder;

beforeEach(async () => {
  folder = await makeTempFolder();
  vi.stubEnv("PATH", folder.path);
  vi.stubEnv("REDIS_SERVER_PATH", "");
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await folder.remove();
});

async function addProgram(name: string, script: string): Promise<void> {
  const path = join(folder.path, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

/** Adds a package manager that records its arguments, reads its input to the end as a prompt would, and then does `work`. */
async function addAptGet(work: string): Promise<void> {
  await addProgram("apt-get", `echo "$DEBIAN_FRONTEND $*" >> ${folder.path}/asked; /bin/cat; ${work}`);
  // A user who is not root calls it by sudo.
  await addProgram("sudo", 'shift; exec "$@"');
  await symlink("/usr/bin/env", join(folder.path, "env"));
}

/** Returns the script that apt-get runs to install Redis. */
function installing(): string {
  const program = `${folder.path}/redis-server`;
  return `case "$*" in *install*) echo '#!/bin/sh' > ${program}; /bin/chmod +x ${program};; esac`;
}

async function asked(): Promise<string[]> {
  return (await readFile(join(folder.path, "asked"), "utf8")).trimEnd().split("\n");
}

const said: string[] = [];
const ensureRedis = () => ensureTools({ wanted: ["redis-server"], say: (line) => said.push(line) });

describe("ensureTools", () => {
  it("installs a missing program without a prompt", async () => {
    await addAptGet(installing());
    await ensureRedis();
    expect((await asked()).at(-1)).toBe("noninteractive install -y -q --no-install-recommends redis-server");
    expect(said).toContain("Installed redis-server.");
  });

  it("does not install a program that is present", async () => {
    await addAptGet(installing());
    await addProgram("redis-server", "");
    await ensureRedis();
    await expect(asked()).rejects.toThrow("ENOENT");
  });

  it("updates package lists that are too old, once", async () => {
    const updated = `${folder.path}/updated`;
    await addAptGet(`case "$*" in *update*) : > ${updated};; *) [ -e ${updated} ] || exit 100;; esac; ${installing()}`);
    await ensureRedis();
    expect((await asked()).slice(-2)).toEqual([
      "noninteractive update -q",
      "noninteractive install -y -q --no-install-recommends redis-server",
    ]);
  });

  it("quotes a package manager that fails, with its command", async () => {
    await addAptGet("echo 'E: no such package' >&2; exit 100");
    await expect(ensureRedis()).rejects.toThrow(/apt-get .*\n(.*\n)*E: no such package/);
  });

  it("throws when a program is still missing after its installation", async () => {
    await addAptGet("");
    await expect(ensureRedis()).rejects.toThrow(/missing after it was installed.*redis-server was not found on PATH/s);
  });

  it("names what is needed when there is no package manager", async () => {
    await expect(ensureRedis()).rejects.toThrow(/redis-server \(or REDIS_SERVER_PATH set to it\)/);
  });

  it("installs nothing when a path that the user gave does not work", async () => {
    await addAptGet(installing());
    vi.stubEnv("REDIS_SERVER_PATH", join(folder.path, "mistyped"));
    await expect(ensureRedis()).rejects.toThrow("the path in REDIS_SERVER_PATH");
  });
});
