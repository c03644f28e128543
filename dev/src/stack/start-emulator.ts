import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type ProcessHandle, startProcess } from "./process-handle.ts";

export interface StartEmulatorOptions {
  /** SdkAppId → SecretKey. */
  readonly apps: Readonly<Record<number, string>>;
  /** Default 0: any free port. */
  readonly rtmpPort?: number;
  readonly httpPort?: number;
  /** Node options before the program, as `--watch`. */
  readonly nodeOptions?: readonly string[];
  readonly onLine?: (line: string) => void;
}

/** The room emulator in a separate process. */
export interface EmulatorHandle {
  readonly rtmpUrl: string;
  readonly httpUrl: string;
  /** Idempotent. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL("../emulator/main.ts", import.meta.url));
const READY_TIMEOUT_MS = 20_000;

const addressesSchema = z.object({ rtmpUrl: z.string(), httpUrl: z.string() });

/**
 * Starts the room emulator as a child process. `RoomEmulator.start` starts it inside the caller's process.
 *
 * @throws Error when it does not start; its last output is in the message.
 */
export async function startEmulator(options: StartEmulatorOptions): Promise<EmulatorHandle> {
  const ready = Promise.withResolvers<z.output<typeof addressesSchema>>();
  const emulator: ProcessHandle = await startProcess({
    name: "emulator",
    command: process.execPath,
    args: [
      ...(options.nodeOptions ?? []),
      MAIN,
      "--json",
      `--rtmp-port=${options.rtmpPort ?? 0}`,
      `--http-port=${options.httpPort ?? 0}`,
    ],
    env: {
      ...process.env,
      ROOMCAST_EMULATOR_APPS: Object.entries(options.apps)
        .map(([sdkAppId, secretKey]) => `${sdkAppId}:${secretKey}`)
        .join(","),
    },
    onLine: (line) => {
      if (line.startsWith("{")) ready.resolve(addressesSchema.parse(JSON.parse(line)));
      options.onLine?.(line);
    },
  });
  try {
    const { rtmpUrl, httpUrl } = await emulator.untilReady(ready.promise, READY_TIMEOUT_MS);
    return { rtmpUrl, httpUrl, stop: () => emulator.stop() };
  } catch (error) {
    await emulator.stop();
    throw error;
  }
}
