import { readFile } from "node:fs/promises";
import { pushRequestSchema, RoomcastError, validate } from "@roomcast/shared";
import { z } from "zod";
import { readOptions, UsageError } from "../command-line/read-options.ts";
import { onInterrupt } from "../demo/on-interrupt.ts";
import { makeTempFolder } from "../stack/temp-folder.ts";
import { makeCheckClips } from "./check-clips.ts";
import { resultTable, verdictOf } from "./result-table.ts";
import { TRTC_CHECK_USAGE } from "./trtc-check-usage.ts";
import { type CheckResult, runTrtcChecks, type TrtcCheckTarget } from "./trtc-checks.ts";

const APP_EXPECTED = "the application's number";
const FILE_EXPECTED = "a file with the application's SecretKey";
const ROOM_EXPECTED = "1 to 48 letters, digits or underscores";
const HOST_EXPECTED = "a host name, or rtmp(s)://host[:port]/app";
const SECONDS_EXPECTED = "a number from 2 to 60";
const TRTC_BACKUP = "rtmp://rtmp.rtc-web.com/push";

const host = z
  .string(HOST_EXPECTED)
  .regex(/^(rtmps?:\/\/[^\s/?#@]+\/[^\s?#]+|[A-Za-z0-9.-]+(:[0-9]{1,5})?)$/, HOST_EXPECTED)
  .transform((text) => (text.includes("://") ? text : `rtmp://${text}/push`));

/** By the names under which the user gives them. */
const wantedSchema = z.object({
  "--sdk-app-id": z.coerce.number(APP_EXPECTED).pipe(pushRequestSchema.shape.SdkAppId),
  "--secret-key-file": z.string(FILE_EXPECTED).min(1, FILE_EXPECTED),
  "--room": z.string(ROOM_EXPECTED).regex(/^[A-Za-z0-9_]{1,48}$/, ROOM_EXPECTED),
  "--number-room": z.coerce.number().pipe(pushRequestSchema.shape.RoomId.unwrap()),
  "--host": host.optional(),
  "--backup-host": host.optional(),
  "--seconds": z.coerce.number(SECONDS_EXPECTED).min(2, SECONDS_EXPECTED).max(60, SECONDS_EXPECTED),
});

/**
 * @returns the exit code
 * @throws UsageError which names all that is missing or wrong
 */
export async function runTrtcCheck(args: readonly string[]): Promise<number> {
  const wanted = readWanted(args);
  const target = await targetOf(wanted);
  const abort = new AbortController();
  const folder = await makeTempFolder();
  let checking: Promise<readonly CheckResult[]> | undefined;
  const interrupt = onInterrupt(async () => {
    abort.abort();
    await checking?.catch(() => undefined);
    await folder.remove();
  });
  try {
    const { signal } = abort;
    const clips = await makeCheckClips({ seconds: wanted["--seconds"], folder: folder.path, signal });
    checking = runTrtcChecks({ target, clips, signal }, (result) => {
      process.stderr.write(`${verdictOf(result).padEnd(9)}  ${result.name}\n`);
    });
    const results = await checking;
    process.stdout.write(`${resultTable(results)}\n`);
    if (results[0]?.outcome?.kind !== "kept") {
      process.stderr.write(
        "A plain push into a string room failed too, so the other rows are not reliable. Check the application and the host.\n",
      );
    }
    return results.every((result) => ["same", "noted"].includes(verdictOf(result))) ? 0 : 1;
  } finally {
    if (!interrupt.begun) interrupt.forget();
    await folder.remove();
  }
}

async function targetOf(wanted: z.output<typeof wantedSchema>): Promise<TrtcCheckTarget> {
  const base = wanted["--host"];
  return {
    sdkAppId: wanted["--sdk-app-id"],
    secretKey: await readSecretKey(wanted["--secret-key-file"]),
    room: wanted["--room"],
    numberRoom: wanted["--number-room"],
    base,
    backupBase: wanted["--backup-host"] ?? (base === undefined ? TRTC_BACKUP : undefined),
  };
}

async function readSecretKey(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(TRTC_CHECK_USAGE.command, `--secret-key-file cannot be read (${error.code ?? "unknown"})`);
  });
  const key = text.trim();
  if (key !== "" && !/\s/.test(key)) return key;
  throw new UsageError(TRTC_CHECK_USAGE.command, "--secret-key-file must hold the SecretKey and nothing else");
}

function readWanted(args: readonly string[]): z.output<typeof wantedSchema> {
  const { help: _help, ...given } = readOptions(TRTC_CHECK_USAGE, args);
  const named = Object.fromEntries(Object.entries(given).map(([name, value]) => [`--${name}`, value]));
  try {
    return validate(wantedSchema, named);
  } catch (error) {
    if (!(error instanceof RoomcastError)) throw error;
    throw new UsageError(TRTC_CHECK_USAGE.command, error.message.replace(/\.$/, ""));
  }
}
