import { parseArgs } from "node:util";
import { mintWorkerToken } from "@roomcast/shared";

const HELP = `Prints a worker token, which lets a media worker dial the edge.

  WORKER_TOKEN_KEY=… npm run --silent worker-token -- --id NAME --region REGION [--region …] [--days N]

  --id      the worker's name: 1 to 64 letters, digits, dots, hyphens or underscores
  --region  where it may stand, as ap-guangzhou; may be repeated
  --days    how long the token holds; default 365

Environment:
  WORKER_TOKEN_KEY  the edge's secret of this name
`;

const DAY_S = 24 * 3600;
const MIN_KEY_LENGTH = 32;

/** @returns the exit code */
export async function printWorkerToken(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      id: { type: "string" },
      region: { type: "string", multiple: true },
      days: { type: "string", default: "365" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const key = process.env["WORKER_TOKEN_KEY"] ?? "";
  const days = Number(values.days);
  const { id, region } = values;
  if (id === undefined || region === undefined || !(days > 0) || key.length < MIN_KEY_LENGTH) {
    process.stderr.write(
      `Expected --id, --region and WORKER_TOKEN_KEY (at least ${MIN_KEY_LENGTH} characters).\n\n${HELP}`,
    );
    return 2;
  }
  const token = await mintWorkerToken({ workerId: id, regions: region, key, lifetimeS: Math.round(days * DAY_S) });
  process.stdout.write(`${token}\n`);
  return 0;
}
