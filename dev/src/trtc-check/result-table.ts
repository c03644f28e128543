import type { CheckResult } from "./trtc-checks.ts";

/** Compares the observation with the assumption. */
export function verdictOf({ assumed, outcome }: CheckResult): "same" | "different" | "not tried" | "noted" {
  if (outcome === null) return "not tried";
  if (assumed === "nothing") return "noted";
  // A connection that cannot be made proves nothing, unless a refusal was expected.
  return (outcome.kind === "kept") === (assumed === "kept") ? "same" : "different";
}

/** A table in Markdown. Pure. */
export function resultTable(results: readonly CheckResult[]): string {
  const rows = results.map((result) => [result.name, seen(result), result.assumed, verdictOf(result)]);
  return [["tried", "seen", "assumed", "verdict"], ["---", "---", "---", "---"], ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll(/\s+/g, " ")).join(" | ")} |`)
    .join("\n");
}

function seen({ outcome }: CheckResult): string {
  if (outcome === null) return "could not be tried here";
  switch (outcome.kind) {
    case "kept":
      return "kept to its end";
    case "ended":
      return `let in, ended after ${outcome.afterMs} ms: ${outcome.why}`;
    case "refused":
      return `not let in: ${outcome.why}`;
    default:
      return `no answer: ${outcome.why}`;
  }
}
