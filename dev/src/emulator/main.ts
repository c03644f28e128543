import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { readEmulatedApps } from "./emulated-apps.ts";
import { RoomEmulator } from "./room-emulator.ts";
import { DOCUMENTED_RULES, REFUSAL_WAYS } from "./room-rules.ts";

const HELP = `A TRTC room emulator: takes RTMP pushes as TRTC does, measures them and shows them in a browser.
Development gear: it is not TRTC, and everybody who reaches its HTTP port may watch and kick.

  node dev/src/emulator/main.ts [--host 127.0.0.1] [--rtmp-port 1935] [--http-port 8090] [--rtmps-port N] [--json]

  --host        where to listen; default 127.0.0.1
  --rtmp-port   default 1935; 0 takes any free port
  --http-port   default 8090; 0 takes any free port
  --rtmps-port  listens for TLS too; needs ROOMCAST_EMULATOR_TLS_KEY and ROOMCAST_EMULATOR_TLS_CERT
  --max-chunk-bytes  refuses pushes with larger RTMP chunks; default 4096, 0 refuses none
  --b-frames    drop (default): a push with B-frames is cut off after a second; keep
  --hevc        refuse (default); keep
  --user-ids    app (default): a UserId is in one room of its application at a time; room
  --map-key-apps  SdkAppIds whose pushes need a private_map_key, with commas between
  --refusals    how refusals are told: status (default), command, bare (without a code), silent
  --json        prints the addresses as one JSON line {"rtmpUrl","rtmpsUrl","httpUrl"}

Environment:
  ROOMCAST_EMULATOR_APPS      the applications that may publish: <SdkAppId>:<SecretKey>[,<SdkAppId>:<SecretKey>…]
  ROOMCAST_EMULATOR_TLS_KEY   file of the TLS key, PEM
  ROOMCAST_EMULATOR_TLS_CERT  file of the TLS certificate, PEM
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      host: { type: "string", default: "127.0.0.1" },
      "rtmp-port": { type: "string", default: "1935" },
      "http-port": { type: "string", default: "8090" },
      "rtmps-port": { type: "string" },
      "max-chunk-bytes": { type: "string", default: "4096" },
      "b-frames": { type: "string", default: "drop" },
      hevc: { type: "string", default: "refuse" },
      "user-ids": { type: "string", default: "app" },
      "map-key-apps": { type: "string", default: "" },
      refusals: { type: "string", default: "status" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const rtmpsPort = values["rtmps-port"];
  const emulator = await RoomEmulator.start({
    apps: readEmulatedApps(process.env.ROOMCAST_EMULATOR_APPS),
    host: values.host,
    rtmpPort: readPort("--rtmp-port", values["rtmp-port"]),
    httpPort: readPort("--http-port", values["http-port"]),
    rules: {
      maxChunkBytes: readNumber("--max-chunk-bytes", values["max-chunk-bytes"]) || null,
      bFramesEndAfterMs:
        oneOf("--b-frames", values["b-frames"], ["drop", "keep"]) === "drop"
          ? DOCUMENTED_RULES.bFramesEndAfterMs
          : null,
      refusesHevc: oneOf("--hevc", values.hevc, ["refuse", "keep"]) === "refuse",
      userIdPerApp: oneOf("--user-ids", values["user-ids"], ["app", "room"]) === "app",
      mapKeyApps: values["map-key-apps"]
        .split(",")
        .filter((app) => app !== "")
        .map((app) => readNumber("--map-key-apps", app)),
      refusals: oneOf("--refusals", values.refusals, REFUSAL_WAYS),
    },
    ...(rtmpsPort === undefined ? {} : { rtmps: await readTls(readPort("--rtmps-port", rtmpsPort)) }),
  });
  const stop = () => void emulator.stop();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const { rtmpUrl, rtmpsUrl, httpUrl } = emulator;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ rtmpUrl, rtmpsUrl, httpUrl })}\n`
      : `TRTC room emulator: push to ${[rtmpUrl, rtmpsUrl].filter(Boolean).join(" or ")}, watch at ${httpUrl}\n`,
  );
}

function readNumber(name: string, text: string): number {
  if (!/^[0-9]{1,10}$/.test(text)) throw new Error(`${name}: expected a whole number.`);
  return Number(text);
}

function oneOf<Choice extends string>(name: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((each) => each === text);
  if (choice === undefined) throw new Error(`${name}: expected ${choices.join(" or ")}.`);
  return choice;
}

function readPort(name: string, text: string): number {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65_535) throw new Error(`${name}: expected a port from 0 to 65535.`);
  return Number(text);
}

async function readTls(port: number): Promise<{ port: number; key: Buffer; cert: Buffer }> {
  const { ROOMCAST_EMULATOR_TLS_KEY: keyFile, ROOMCAST_EMULATOR_TLS_CERT: certFile } = process.env;
  if (keyFile === undefined || certFile === undefined) {
    throw new Error("--rtmps-port needs ROOMCAST_EMULATOR_TLS_KEY and ROOMCAST_EMULATOR_TLS_CERT, two PEM files.");
  }
  return { port, key: await readFile(keyFile), cert: await readFile(certFile) };
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : "The emulator could not start."}\n`);
  process.exitCode = 1;
}
