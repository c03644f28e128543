import { type EdgeWorkerd, startEdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { SDK_APP_ID, stackUserSig } from "@roomcast/dev/stack/stack-secrets";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CallbackReceiver } from "./harness/callback-receiver.ts";

// A bare workerd: `wrangler dev` lets its workers call every network.
const edges: EdgeWorkerd[] = [];
let receiver: CallbackReceiver;

const POLL = { timeout: 20_000, interval: 50 } as const;

beforeAll(async () => {
  receiver = await CallbackReceiver.start();
});

afterAll(async () => {
  await Promise.all(edges.map((edge) => edge.stop()));
  await receiver?.stop();
});

/** An edge that takes this machine's name for a public one, as it does each name with a domain. */
async function start(network: { readonly reachesPrivate: boolean }): Promise<EdgeWorkerd> {
  const settings = { CALLBACK_ALLOW_HOSTS: "localhost", CALLBACK_RETRY_MS: "50", CALLBACK_GIVE_UP_MS: "200" };
  const edge = await startEdgeWorkerd({ ...network, settings });
  edges.push(edge);
  return edge;
}

/** Starts a push and stops it before any worker has it. Its end is reported to a host name that leads to this machine. */
async function stoppedPush({ client, secrets }: EdgeWorkerd, path: string): Promise<string> {
  const taskId = await client.push({
    VideoSrc: "https://media.example/lesson.mp4",
    SdkAppId: SDK_APP_ID,
    StrRoomId: "room",
    UserId: "teacher",
    UserSig: await stackUserSig(secrets, "teacher"),
    CallbackUrl: receiver.url(path).replace("127.0.0.1", "localhost"),
    CallbackKey: receiver.key,
  });
  await client.stop(taskId);
  return taskId;
}

describe("Callbacks over the network", () => {
  it("are not sent to a public host name that leads into a private network", async () => {
    const edge = await start({ reachesPrivate: false });
    const taskId = await stoppedPush(edge, "/inside");
    const messages = async () => (await edge.client.logs(taskId)).lines.map(({ message }) => message);
    await expect.poll(messages, POLL).toContainEqual(expect.stringContaining("given up"));
    expect((await messages()).join("\n")).toContain("the receiver could not be reached");
    expect(receiver.at("/inside")).toEqual([]);
  });

  it("are sent to a host name in a private network when the operator opens private networks to workerd", async () => {
    await stoppedPush(await start({ reachesPrivate: true }), "/opened");
    await expect.poll(() => receiver.at("/opened"), POLL).toHaveLength(1);
  });
});
