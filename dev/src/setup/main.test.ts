import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { verifyWorkerToken } from "@roomcast/shared";
import { describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

interface Ran {
  readonly exitCode: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const WORKER_TOKEN_KEY = "k".repeat(32);

/** Runs a command without its tools, so that it fails at once if it tries to start something. */
function run(...args: readonly string[]): Promise<Ran> {
  const env = {
    ...process.env,
    FFMPEG_PATH: "/nowhere/ffmpeg",
    REDIS_SERVER_PATH: "/nowhere/redis-server",
    WORKER_TOKEN_KEY,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

describe("main", () => {
  it.each([
    ["demo", "--help"],
    ["demo", "-h"],
    ["demo", "--keep", "--help"],
    ["dev", "--help"],
    ["trtc-check", "--help"],
  ])("prints help and starts nothing for npm run %s -- %s …", async (command, ...args) => {
    const { exitCode, stdout, stderr } = await run(command, ...args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain(`npm run ${command}`);
  });

  it.each([
    ["demo", "--kep", "Unknown option '--kep'"],
    ["demo", "--keep=1", "Option '--keep' does not take an argument"],
    ["demo", "keep", "Unexpected argument 'keep'"],
    ["worker-token", "--name", "Unknown option '--name'"],
    ["trtc-check", "--secret-key", "Unknown option '--secret-key'"],
    ["dev", "--port", "Unknown option '--port'"],
  ])("names the wrong option and the help, and starts nothing for npm run %s -- %s", async (command, arg, problem) => {
    expect(await run(command, arg)).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: expect.stringMatching(
        new RegExp(`^npm run ${command}: ${problem}[^.\\n]*\\. See: npm run ${command} -- --help\\n$`),
      ),
    });
  });

  it("names every missing or wrong option of worker-token and what was expected", async () => {
    const end = "See: npm run worker-token -- --help\n";
    expect(await run("worker-token", "--id", "a b", "--region", "Guangzhou", "--days", "soon")).toEqual({
      exitCode: 2,
      stdout: "",
      stderr:
        "npm run worker-token: --id is invalid: expected 1 to 64 letters, digits, dots, hyphens or underscores; " +
        '--region.0 is invalid: expected a region name such as "ap-guangzhou"; ' +
        `--days is invalid: expected a number of days above 0. ${end}`,
    });
    const { stderr } = await run("worker-token", "--region", "ap-guangzhou");
    expect(stderr).toBe(
      `npm run worker-token: --id is missing: expected 1 to 64 letters, digits, dots, hyphens or underscores. ${end}`,
    );
  });

  it("prints a token and nothing else for worker-token", async () => {
    const { exitCode, stdout, stderr } = await run("worker-token", "--id", "w", "--region", "ap-guangzhou");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(await verifyWorkerToken(stdout.trim(), WORKER_TOKEN_KEY)).toMatchObject({
      workerId: "w",
      regions: ["ap-guangzhou"],
    });
  });

  it("names the known commands when the command is unknown", async () => {
    const { exitCode, stderr } = await run("demonstrate");
    expect(exitCode).toBe(2);
    expect(stderr).toContain('Unknown command "demonstrate": expected one of demo, dev,');
  });
});
