import type { EdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { SDK_APP_ID, stackUserSig } from "@roomcast/dev/stack/stack-secrets";

const USER_ID = "bench";

/** Returns requests for pushes, each into another room, so that none takes another one's seat. */
export interface PushRequests {
  /** The next one as an object. */
  next(): Record<string, unknown>;
  /** The next one as an HTTP/1.1 call. */
  nextCall(): string;
}

export async function pushRequests({ secrets, authorization }: EdgeWorkerd): Promise<PushRequests> {
  const userSig = await stackUserSig(secrets, USER_ID);
  let made = 0;
  const next = () => {
    made += 1;
    return {
      VideoSrc: "https://media.example/lessons/01/introduction.mp4",
      SdkAppId: SDK_APP_ID,
      StrRoomId: `bench_${made}`,
      UserId: USER_ID,
      UserSig: userSig,
    };
  };
  return {
    next,
    nextCall: () => {
      const body = JSON.stringify(next());
      return [
        "POST / HTTP/1.1",
        "Host: edge.example",
        `Authorization: ${authorization}`,
        "Content-Type: application/json",
        `Content-Length: ${Buffer.byteLength(body)}`,
        "",
        body,
      ].join("\r\n");
    },
  };
}
