import { expect, test } from "vitest";
import { testSummary } from "./test-summary.ts";

const file = (status: string, tests: number) => ({
  status,
  assertionResults: Array.from({ length: tests }, () => ({})),
});

test.each([
  {
    why: "counts the tests of all files",
    report: { numPassedTests: 5, numFailedTests: 0, testResults: [file("passed", 2), file("passed", 3)] },
    exitCode: 0,
    line: "5 passed, 0 failed",
  },
  {
    why: "counts failed tests",
    report: { numPassedTests: 4, numFailedTests: 1, testResults: [file("passed", 2), file("failed", 3)] },
    exitCode: 1,
    line: "4 passed, 1 failed",
  },
  {
    why: "counts a file that could not be loaded as a failure",
    report: { numPassedTests: 2, numFailedTests: 1, testResults: [file("failed", 3), file("failed", 0)] },
    exitCode: 1,
    line: "2 passed, 2 failed",
  },
  {
    why: "never says that nothing failed when the run did",
    report: { numPassedTests: 2, numFailedTests: 0, testResults: [file("passed", 2)] },
    exitCode: 1,
    line: "2 passed, 1 failed",
  },
  { why: "says so when the run left no report", report: undefined, exitCode: 1, line: "0 passed, 1 failed" },
])("the closing line $why", ({ report, exitCode, line }) => {
  expect(testSummary(report, exitCode)).toBe(line);
});
