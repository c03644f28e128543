import { setTimeout as delay } from "node:timers/promises";
import { SDK_APP_ID } from "../stack/stack-secrets.ts";
import { type DemoOptions, watchUrl } from "./demo.ts";
import { shownCurl } from "./shown-curl.ts";
import { writeVariables } from "./write-variables.ts";

const ROOM = 1001;
const USER_ID = "teacher";
const POLL_MS = 1000;

/** Keeps a room playing, and says how to try more. Ends only with the process. */
export async function keepDemoOpen({ stack, terminal, clipPath }: DemoOptions): Promise<never> {
  const request = {
    VideoSrc: stack.files.serve(clipPath),
    SdkAppId: SDK_APP_ID,
    RoomId: ROOM,
    UserId: USER_ID,
    UserSig: await stack.userSig(USER_ID),
  };
  const variables = await writeVariables({
    command: "demo",
    variables: {
      ...stack.credentialVariables(),
      USER_SIG: request.UserSig,
      REDIS_PASSWORD: stack.redis.password,
    },
  });
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
