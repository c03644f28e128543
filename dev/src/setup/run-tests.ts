import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempFolder } from "../stack/temp-folder.ts";
import { runProgram } from "./run-program.ts";
import { type TestReport, testReportSchema, testSummary } from "./test-summary.ts";

/**
 * Runs vitest once over all projects and prints the closing line.
 *
 * @param args passed on to vitest
 * @returns vitest's exit code
 */
export async function runTests(args: readonly string[]): Promise<number> {
  const folder = await makeTempFolder();
  try {
    const reportPath = join(folder.path, "report.json");
    const exitCode = await runProgram({
      name: "vitest",
      args: ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${reportPath}`, ...args],
    });
    process.stdout.write(`${testSummary(await readReport(reportPath), exitCode)}\n`);
    return exitCode;
  } finally {
    await folder.remove();
  }
}

async function readReport(path: string): Promise<TestReport | undefined> {
  try {
    return testReportSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return undefined;
  }
}
