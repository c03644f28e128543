import { z } from "zod";

/** The part of vitest's JSON report that is read. */
export const testReportSchema = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })),
});
export type TestReport = z.output<typeof testReportSchema>;

/**
 * Returns the plain closing line of a test run: `N passed, N failed`. A test file that could not even be loaded counts as one
 * failure, and so does a run that failed outside of all tests. Pure.
 *
 * @param report undefined if the run left no report
 */
export function testSummary(report: TestReport | undefined, exitCode: number): string {
  const passed = report?.numPassedTests ?? 0;
  const unloaded =
    report?.testResults.filter(({ status, assertionResults }) => status === "failed" && assertionResults.length === 0)
      .length ?? 0;
  const failed = (report?.numFailedTests ?? 0) + unloaded;
  return `${passed} passed, ${exitCode === 0 ? failed : Math.max(1, failed)} failed`;
}
