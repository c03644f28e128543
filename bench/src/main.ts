import type { Suite } from "./base/suite.ts";
import { controlBench } from "./control/control-bench.ts";
import { hostileBench } from "./hostile/hostile-bench.ts";
import { mediaBench } from "./media/media-bench.ts";
import { pushBench } from "./push/push-bench.ts";
import { soakBench } from "./soak/soak-bench.ts";

/** By the name with which `npm run bench -- <name>` calls them. */
const SUITES: ReadonlyMap<string, Suite> = new Map([
  ["push", pushBench],
  ["media", mediaBench],
  ["control", controlBench],
  ["soak", soakBench],
  ["hostile", hostileBench],
]);
const DEFAULT_SUITE = "push";

const HELP = `Measures Roomcast beside its peers, in one run on this machine (Linux).

Usage: npm run bench -- [suite] [options]

  --json            one JSON object on standard output, nothing else
  --help
${[...SUITES].map(([name, { summary, options }]) => `\n${name}: ${summary}\n${options}\n`).join("")}
Without a suite's name: ${DEFAULT_SUITE}.
`;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const named = argv[0] !== undefined && !argv[0].startsWith("-");
  const name = named ? argv[0] : DEFAULT_SUITE;
  const suite = SUITES.get(name ?? "");
  if (suite === undefined) {
    process.stderr.write(`There is no suite "${name}": expected one of ${[...SUITES.keys()].join(", ")}.\n`);
    return 2;
  }
  const args = argv.slice(named ? 1 : 0);
  const asJson = args.includes("--json");
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.abort());
  try {
    const { json, text } = await suite.run({
      args: args.filter((argument) => argument !== "--json"),
      onProgress: (what) => process.stderr.write(`${what} …\n`),
      signal: stopped.signal,
    });
    process.stdout.write(`${asJson ? JSON.stringify(json) : text}\n`);
    return 0;
  } catch (error) {
    // Errors after a stop are expected.
    if (stopped.signal.aborted) return 130;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
