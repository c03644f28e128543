import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { RoomEmulator, type RoomEmulatorOptions } from "../emulator/room-emulator.ts";

const MAIN = fileURLToPath(new URL("../setup/main.ts", import.meta.url));
const SDK_APP_ID = 1_400_000_001;
const SECRET_KEY = "key-of-the-emulated-app";

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

async function emulator(rules: RoomEmulatorOptions["rules"] = {}): Promise<RoomEmulator> {
  const started = await RoomEmulator.start({ apps: { [SDK_APP_ID]: SECRET_KEY }, rules });
  cleanUps.push(() => started.stop());
  return started;
}

interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The temporary files that it left behind. */
  readonly left: readonly string[];
}

/** Runs the command. `onProgress` gets the process as soon as it has printed a first result. */
async function check(args: readonly string[], onProgress?: (kill: (signal: "SIGINT") => void) => void): Promise<Ran> {
  const folder = await mkdtemp(join(tmpdir(), "trtc-check-"));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  const keyFile = join(folder, "secret.txt");
  await writeFile(keyFile, `${SECRET_KEY}\n`);
  const env = { ...process.env, TMPDIR: folder };
  const given = ["trtc-check", "--sdk-app-id", String(SDK_APP_ID), "--secret-key-file", keyFile, ...args];
  const child = spawn(process.execPath, [MAIN, ...given], { env, stdio: ["ignore", "pipe", "pipe"] });
  cleanUps.push(async () => child.kill("SIGKILL"));
  let [stdout, stderr, told] = ["", "", false];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    if (told || !/^(same|noted)/m.test(stderr)) return;
    told = true;
    onProgress?.((signal) => child.kill(signal));
  });
  const exitCode = await new Promise<number | null>((resolve) => {
    child.once("close", (code) => resolve(code));
  });
  const left = (await readdir(folder)).filter((name) => name !== "secret.txt");
  return { exitCode, stdout, stderr, left };
}

/** Returns the table's rows by what was tried: what was seen, what is assumed, and the verdict. */
function rowsOf({ stdout }: Ran): Record<string, readonly string[]> {
  const rows = stdout.trim().split("\n").slice(2);
  return Object.fromEntries(
    rows.map((row) => {
      const [name = "", ...cells] = row.split(" | ").map((cell) => cell.replaceAll(/^\| | \|$/g, ""));
      return [name, cells];
    }),
  );
}

const PUSHES = ["--room", "check_1", "--seconds", "2"];

// Each test runs the whole command with about twenty pushes in real time.
describe("npm run trtc-check", { timeout: 240_000 }, () => {
  it("reports every assumption as met by a room that follows TRTC's documents, and shows no secret", async () => {
    const { rtmpUrl } = await emulator();
    const ran = await check([...PUSHES, "--host", rtmpUrl, "--backup-host", rtmpUrl]);
    const verdicts = Object.entries(rowsOf(ran)).map(([name, [seen = "", , verdict]]) => [
      name,
      seen.split(/[:0-9]/)[0],
      verdict,
    ]);
    expect(verdicts).toEqual([
      ["a string room", "kept to its end", "same"],
      ["an integer room (use_number_room_id=1)", "kept to its end", "same"],
      ["RTMP chunks of 128 bytes", "kept to its end", "same"],
      ["RTMP chunks of 1360 bytes", "kept to its end", "same"],
      ["RTMP chunks of 4096 bytes", "kept to its end", "same"],
      ["RTMP chunks of 60000 bytes", "not let in", "same"],
      ["the backup host", "kept to its end", "same"],
      ["a UserSig signed with another SecretKey", "not let in", "same"],
      ["a UserSig that has expired", "not let in", "same"],
      ["another user's UserSig", "not let in", "same"],
      ["B-frames", "let in, ended after ", "same"],
      ["H.265", "let in, ended after ", "same"],
      ["messages in the picture (SEI)", "kept to its end", "same"],
      ["HE-AAC", "kept to its end", "noted"],
      ["a change of the picture's size", "kept to its end", "noted"],
      ["the older of two pushes for one seat", "let in, ended after ", "same"],
      ["the older push of a UserId in two rooms", "let in, ended after ", "same"],
    ]);
    expect(rowsOf(ran)["a UserSig that has expired"]?.[0]).toContain("NetStream.Publish.Denied");
    expect(`${ran.stdout}${ran.stderr}`).not.toContain(SECRET_KEY);
    expect(`${ran.stdout}${ran.stderr}`).not.toMatch(/usersig=(?!…)/i);
    expect([ran.exitCode, ran.left]).toEqual([0, []]);
  });

  it("reports differences and checks that it could not run, also by its exit code", async () => {
    const rules = { bFramesEndAfterMs: null, refusesHevc: false, maxChunkBytes: 2000, userIdPerApp: false } as const;
    const { rtmpUrl } = await emulator({ ...rules, refusals: "silent" });
    const ran = await check([...PUSHES, "--host", rtmpUrl]);
    const rows = rowsOf(ran);
    const odd = Object.entries(rows).filter(
      ([, cells]) => cells.at(-1) === "different" || cells.at(-1) === "not tried",
    );
    expect(odd.map(([name]) => name)).toEqual([
      "RTMP chunks of 4096 bytes",
      "the backup host",
      "B-frames",
      "H.265",
      "the older push of a UserId in two rooms",
    ]);
    expect(rows["a UserSig that has expired"]?.[0]).toContain("without a reason");
    expect([ran.exitCode, ran.left]).toEqual([1, []]);
  });

  it("leaves its rooms and removes its files when it is interrupted", async () => {
    const room = await emulator();
    const ran = await check([...PUSHES, "--host", room.rtmpUrl], (kill) => kill("SIGINT"));
    expect([ran.exitCode, ran.left, ran.stdout]).toEqual([130, [], ""]);
    const open = () =>
      room
        .rooms()
        .flatMap(({ users }) => users.flatMap((user) => user.sessions))
        .filter(({ endReason }) => endReason === null);
    await expect.poll(open, { timeout: 20_000 }).toEqual([]);
  });

  it("names all missing or wrong options, and pushes nothing", async () => {
    const ran = await check(["--room", "no spaces please", "--seconds", "1", "--host", "rtmp://u:p@h/a?x=1"]);
    expect(ran.exitCode).toBe(2);
    for (const option of ["--room", "--seconds", "--host"]) expect(ran.stderr).toContain(option);
    expect(ran.stderr).toContain("See: npm run trtc-check -- --help");
  });
});
