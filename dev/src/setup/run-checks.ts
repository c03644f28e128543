import { checkImportFloors } from "./check-import-floors.ts";
import { QUIET_TURBO, type RunProgramOptions, runProgram } from "./run-program.ts";

const CHECKS: readonly (RunProgramOptions & { readonly what: string })[] = [
  { what: "format", name: "biome", args: ["ci", "--log-level=warn", "."] },
  { what: "lint", name: "oxlint", args: ["--type-aware"] },
  {
    what: "types",
    name: "turbo",
    args: ["run", "check-types", "--output-logs=errors-only"],
    env: QUIET_TURBO,
  },
  { what: "dead code", name: "knip", args: [] },
];

/**
 * Checks format, lint, types, dead code and the imports between folders. All checks run, also after one has failed.
 *
 * @returns 0 when all are fine, else 1
 */
export async function runChecks(): Promise<number> {
  const failed: string[] = [];
  for (const { what, ...program } of CHECKS) {
    process.stdout.write(`— ${what}: ${program.name}\n`);
    if ((await runProgram(program)) !== 0) failed.push(what);
  }
  process.stdout.write("— floors: which folders import which\n");
  if ((await checkImportFloors()) !== 0) failed.push("floors");
  process.stdout.write(failed.length === 0 ? "All checks passed.\n" : `Checks failed: ${failed.join(", ")}.\n`);
  return failed.length === 0 ? 0 : 1;
}
