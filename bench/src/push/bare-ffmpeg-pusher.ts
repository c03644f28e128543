import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { SDK_APP_ID, type Stack } from "@roomcast/dev/stack/stack";
import type { Pusher } from "./pusher.ts";

const USER_ID = "bench";

/** The peer: one `ffmpeg -re -i URL -c copy -f flv rtmp://…` a stream. */
export async function bareFfmpegPusher(stack: Stack, ffmpegPath: string): Promise<Pusher> {
  const userSig = await stack.userSig(USER_ID);
  const children = new Set<ChildProcess>();
  return {
    name: "bare ffmpeg",
    pids: () => [...children].map(({ pid }) => pid).filter((pid) => pid !== undefined),
    start: ({ clipUrl, room }) => {
      const query = new URLSearchParams({ sdkappid: String(SDK_APP_ID), userid: USER_ID, usersig: userSig });
      const target = `${stack.emulator.rtmpUrl}/${room}?${query.toString()}`;
      const args = ["-nostdin", "-loglevel", "error", "-re", "-i", clipUrl, "-c", "copy", "-f", "flv", target];
      const child = spawn(ffmpegPath, args, { stdio: "ignore" });
      children.add(child);
      return Promise.resolve();
    },
    stopAll: async () => {
      const ending = [...children];
      children.clear();
      await Promise.all(
        ending.map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const exited = once(child, "exit");
          child.kill("SIGKILL");
          await exited;
        }),
      );
    },
  };
}
