import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { verifyWorkerToken } from "@roomcast/shared";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

interface Ran {
  readonly exitCode: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const WORKER_TOKEN_KEY = "k".repeat(32);

/** Runs a command where none of its tools is to be had, so that it ends at once where it wants to start something. */
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

test.each([
  ["demo", "--help"],
  ["demo", "-h"],
  ["demo", "--keep", "--help"],
  ["dev", "--help"],
  ["trtc-check", "--help"],
])("npm run %s -- %s … prints help and starts nothing", async (command, ...args) => {
  const { exitCode, stdout, stderr } = await run(command, ...args);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toContain(`npm run ${command}`);
});

test.each([
  ["demo", "--kep", "Unknown option '--kep'"],
  ["demo", "--keep=1", "Option '--keep' does not take an argument"],
  ["demo", "keep", "Unexpected argument 'keep'"],
  ["worker-token", "--name", "Unknown option '--name'"],
  ["trtc-check", "--secret-key", "Unknown option '--secret-key'"],
  ["dev", "--port", "Unknown option '--port'"],
])("npm run %s -- %s says what is wrong, where to read more, and starts nothing", async (command, arg, problem) => {
  expect(await run(command, arg)).toEqual({
    exitCode: 2,
    stdout: "",
    stderr: expect.stringMatching(
      new RegExp(`^npm run ${command}: ${problem}[^.\\n]*\\. See: npm run ${command} -- --help\\n$`),
    ),
  });
});

test("npm run worker-token names every option that is missing or wrong, and what was expected", async () => {
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

test("npm run worker-token prints a token and nothing else", async () => {
  const { exitCode, stdout, stderr } = await run("worker-token", "--id", "w", "--region", "ap-guangzhou");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(await verifyWorkerToken(stdout.trim(), WORKER_TOKEN_KEY)).toMatchObject({
    workerId: "w",
    regions: ["ap-guangzhou"],
  });
});

test("a command that there is not is answered with those that there are", async () => {
  const { exitCode, stderr } = await run("demonstrate");
  expect(exitCode).toBe(2);
  expect(stderr).toContain('Unknown command "demonstrate": expected one of demo, dev,');
});
