import { SDK_APP_ID, type Stack } from "@roomcast/dev/stack/stack";
import { BENCH_USER_ID, type Push, type Pusher } from "./pusher.ts";

const POLL_MS = 50;

export interface RoomcastPusher extends Pusher {
  /**
   * As `start`, with more parameters of the request.
   *
   * @returns the task's id
   */
  push(push: Push, more?: { readonly Preload?: readonly string[] }): Promise<string>;
}

/** Roomcast as its users have it: an HTTP call to the edge, a worker that was there before. The worker's cost counts. */
export async function roomcastPusher(stack: Stack): Promise<RoomcastPusher> {
  const userSig = await stack.userSig(BENCH_USER_ID);
  const running = new Set<string>();

  async function ended(taskId: string): Promise<boolean> {
    return (await stack.client.task(taskId)).status !== "RUNNING";
  }

  async function push({ clipUrl, room }: Push, more: object = {}): Promise<string> {
    const taskId = await stack.client.push({
      VideoSrc: clipUrl,
      SdkAppId: SDK_APP_ID,
      StrRoomId: room,
      UserId: BENCH_USER_ID,
      UserSig: userSig,
      ...more,
    });
    running.add(taskId);
    return taskId;
  }

  return {
    name: "roomcast",
    pids: () => stack.workers.map(({ pid }) => pid),
    push,
    start: async (wanted) => {
      await push(wanted);
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
