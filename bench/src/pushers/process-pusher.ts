import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { SDK_APP_ID, type Stack } from "@roomcast/dev/stack/stack";
import { BENCH_USER_ID, type Pusher } from "./pusher.ts";

export interface ProcessPusherOptions {
  readonly name: string;
  readonly stack: Stack;
  readonly program: string;
  /** Returns the program's arguments for one stream. */
  readonly args: (stream: { readonly clipUrl: string; readonly rtmpUrl: string }) => readonly string[];
}

/** A peer that takes a process for each stream. */
export async function processPusher(options: ProcessPusherOptions): Promise<Pusher> {
  const { stack } = options;
  const userSig = await stack.userSig(BENCH_USER_ID);
  const children = new Set<ChildProcess>();
  return {
    name: options.name,
    pids: () => [...children].map(({ pid }) => pid).filter((pid) => pid !== undefined),
    start: ({ clipUrl, room }) => {
      const query = new URLSearchParams({ sdkappid: String(SDK_APP_ID), userid: BENCH_USER_ID, usersig: userSig });
      const rtmpUrl = `${stack.emulator.rtmpUrl}/${room}?${query.toString()}`;
      const child = spawn(options.program, options.args({ clipUrl, rtmpUrl }), { stdio: "ignore" });
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
