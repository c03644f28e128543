import { SDK_APP_ID, type Stack } from "@roomcast/dev/stack/stack";
import type { Pusher } from "./pusher.ts";

const USER_ID = "bench";
const POLL_MS = 50;

/** Roomcast as its users have it: an HTTP call to the edge, a worker that was there before. The worker's cost counts. */
export async function roomcastPusher(stack: Stack): Promise<Pusher> {
  const userSig = await stack.userSig(USER_ID);
  const running = new Set<string>();

  async function ended(taskId: string): Promise<boolean> {
    return (await stack.client.task(taskId)).status !== "RUNNING";
  }

  return {
    name: "roomcast",
    pids: () => stack.workers.map(({ pid }) => pid),
    start: async ({ clipUrl, room }) => {
      running.add(
        await stack.client.push({
          VideoSrc: clipUrl,
          SdkAppId: SDK_APP_ID,
          StrRoomId: room,
          UserId: USER_ID,
          UserSig: userSig,
        }),
      );
    },
    stopAll: async () => {
      const taskIds = [...running];
      running.clear();
      await Promise.all(taskIds.map((taskId) => stack.client.stop(taskId)));
      for (const taskId of taskIds) {
        while (!(await ended(taskId))) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
  };
}
