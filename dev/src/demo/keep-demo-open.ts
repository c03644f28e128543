import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { reaper } from "../stack/reaper.ts";
import { SDK_APP_ID, type Stack } from "../stack/stack.ts";
import { type DemoOptions, watchUrl } from "./demo.ts";
import { shownCurl } from "./shown-curl.ts";

const ROOM = 1001;
const USER_ID = "teacher";
const POLL_MS = 1000;
const FOLDER = fileURLToPath(new URL("../../../.roomcast", import.meta.url));

/** Keeps a room playing, and says how to try more. Ends only with the process. */
export async function keepDemoOpen({ stack, terminal, clipPath }: DemoOptions): Promise<never> {
  const request = {
    VideoSrc: stack.files.serve(clipPath),
    SdkAppId: SDK_APP_ID,
    RoomId: ROOM,
    UserId: USER_ID,
    UserSig: await stack.userSig(USER_ID),
  };
  const variables = await writeVariables(stack, request.UserSig);
  terminal.say(`
Everything keeps running until Ctrl-C; room ${ROOM} plays the clip again and again.

  Watch it:          ${watchUrl(stack, ROOM)}
  All rooms:         ${stack.emulator.httpUrl}/
  The secrets below: . ${variables}

Push it yourself, with another VideoSrc or RoomId as you like:

${shownCurl(stack.edge.url, request)}

See all tasks, and stop one:

curl -H "Authorization: Bearer $SECRET_ID.$SECRET_KEY" ${stack.edge.url}/v1/tasks
curl -X DELETE -H "Authorization: Bearer $SECRET_ID.$SECRET_KEY" ${stack.edge.url}/v1/tasks/<x-scf-reqid>
`);
  for (;;) {
    const taskId = await stack.client.push(request);
    while ((await stack.client.task(taskId)).status === "RUNNING") await delay(POLL_MS);
    await delay(POLL_MS);
  }
}

/** A file for the shell that only this user may read; it goes with the process. */
async function writeVariables(stack: Stack, userSig: string): Promise<string> {
  const path = join(FOLDER, "demo.env");
  const [secretId = "", secretKey = ""] = stack.authorization.replace("Bearer ", "").split(".");
  await mkdir(FOLDER, { recursive: true });
  await rm(path, { force: true });
  const lines = [
    `SECRET_ID=${secretId}`,
    `SECRET_KEY=${secretKey}`,
    `USER_SIG='${userSig}'`,
    `REDIS_PASSWORD=${stack.redis.password}`,
  ];
  await writeFile(path, `${lines.join("\n")}\n`, { mode: 0o600 });
  reaper().addFolder(path);
  return path;
}
