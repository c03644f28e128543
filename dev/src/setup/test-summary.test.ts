import { describe, expect, it } from "vitest";
import { testSummary } from "./test-summary.ts";

const file = (status: string, tests: number) => ({
  status,
  assertionResults: Array.from({ length: tests }, () => ({})),
});

describe("testSummary", () => {
  it.each([
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
      why: "counts an unloadable file as failed",
      report: { numPassedTests: 2, numFailedTests: 1, testResults: [file("failed", 3), file("failed", 0)] },
      exitCode: 1,
      line: "2 passed, 2 failed",
    },
    {
      why: "never hides that a run failed",
      report: { numPassedTests: 2, numFailedTests: 0, testResults: [file("passed", 2)] },
      exitCode: 1,
      line: "2 passed, 1 failed",
    },
    { why: "counts a missing report as failed", report: undefined, exitCode: 1, line: "0 passed, 1 failed" },
  ])("$why", ({ report, exitCode, line }) => {
    expect(testSummary(report, exitCode)).toBe(line);
  });
});
