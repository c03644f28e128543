import { mintWorkerToken, RoomcastError, regionName, validate, workerIdSchema } from "@roomcast/shared";
import { z } from "zod";
import { HELP_OPTION, readOptions, type Usage, UsageError } from "../command-line/read-options.ts";

const HELP = `Prints a worker token, which lets a media worker dial the edge.

  WORKER_TOKEN_KEY=… npm run --silent worker-token -- --id NAME --region REGION [--region …] [--days N]

  --id      the worker's name: 1 to 64 letters, digits, dots, hyphens or underscores
  --region  where it may stand, as ap-guangzhou; may be repeated
  --days    how long the token holds; default 365

Environment:
  WORKER_TOKEN_KEY  the edge's secret of this name
`;

export const WORKER_TOKEN_USAGE = {
  command: "worker-token",
  help: HELP,
  options: {
    id: { type: "string" },
    region: { type: "string", multiple: true },
    days: { type: "string", default: "365" },
    ...HELP_OPTION,
  },
} as const satisfies Usage;

const DAY_S = 24 * 3600;
const DAYS_EXPECTED = "a number of days above 0";
const KEY_EXPECTED = "the edge's secret of this name, at least 32 characters";

/** The edge's secret may be a JSON list while it is rotated: the first one signs. */
function newestOf(secret: unknown): unknown {
  if (typeof secret !== "string" || !secret.trimStart().startsWith("[")) return secret;
  try {
    const keys: unknown = JSON.parse(secret);
    return Array.isArray(keys) ? keys[0] : secret;
  } catch {
    return secret;
  }
}

/** By the names under which the user gives them. */
const wantedSchema = z.object({
  "--id": workerIdSchema,
  "--region": z.array(regionName, "a region, as ap-guangzhou"),
  "--days": z.coerce.number(DAYS_EXPECTED).positive(DAYS_EXPECTED),
  WORKER_TOKEN_KEY: z.preprocess(newestOf, z.string(KEY_EXPECTED).min(32, KEY_EXPECTED)),
});

/**
 * @returns the exit code
 * @throws UsageError which names all that is missing or wrong
 */
export async function printWorkerToken(args: readonly string[]): Promise<number> {
  const wanted = readWanted(args);
  const token = await mintWorkerToken({
    workerId: wanted["--id"],
    regions: wanted["--region"],
    key: wanted.WORKER_TOKEN_KEY,
    lifetimeS: Math.round(wanted["--days"] * DAY_S),
  });
  process.stdout.write(`${token}\n`);
  return 0;
}

function readWanted(args: readonly string[]): z.output<typeof wantedSchema> {
  const { id, region, days } = readOptions(WORKER_TOKEN_USAGE, args);
  const { WORKER_TOKEN_KEY } = process.env;
  try {
    return validate(wantedSchema, { "--id": id, "--region": region, "--days": days, WORKER_TOKEN_KEY });
  } catch (error) {
    if (!(error instanceof RoomcastError)) throw error;
    throw new UsageError(WORKER_TOKEN_USAGE.command, error.message.replace(/\.$/, ""));
  }
}
