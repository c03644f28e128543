import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { type EdgeWorkerd, startEdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";
import { SDK_APP_ID, stackUserSig } from "@roomcast/dev/stack/stack-secrets";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const SLOW_DIRECTORY = fileURLToPath(new URL("harness/slow-directory-worker.mjs", import.meta.url));

// A bare workerd, without the proxies of `wrangler dev`: a client that hangs up there only hangs up on a proxy.
let edge: EdgeWorkerd;
let userSig: string;

beforeAll(async () => {
  edge = await startEdgeWorkerd({ companion: { entry: SLOW_DIRECTORY, objects: {} } });
  userSig = await stackUserSig(edge.secrets, "teacher");
});

afterAll(() => edge?.stop());

/** Sends a create and returns the status line of its answer, or undefined if the client leaves before it. */
function create(
  room: string,
  leavesAfterMs: number | null,
  VideoSrc: string | string[] = "https://media.example/lesson.mp4",
): Promise<string | undefined> {
  const body = JSON.stringify({
    VideoSrc,
    SdkAppId: SDK_APP_ID,
    StrRoomId: room,
    UserId: "teacher",
    UserSig: userSig,
  });
  const head = `POST / HTTP/1.1\r\nHost: edge.example\r\nAuthorization: ${edge.authorization}\r\nContent-Length: ${Buffer.byteLength(body)}`;
  const socket = connect({ port: edge.edgePort, host: "127.0.0.1", noDelay: true });
  return new Promise<string | undefined>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("The edge closed the connection.")));
    socket.once("data", (answer) => resolve(String(answer).split("\r\n")[0]));
    socket.write(`${head}\r\n\r\n${body}`, () => {
      if (leavesAfterMs !== null) setTimeout(() => resolve(undefined), leavesAfterMs);
    });
  }).finally(() => socket.resetAndDestroy());
}

describe("Edge", () => {
  it("accepts each of many simultaneous creates when every second client hangs up", async () => {
    // One client's call to the Directory may carry the creates of others. In each round clients leave at another moment.
    for (let round = 0; round < 30; round += 1) {
      const answers = Array.from({ length: 40 }, (_, n) =>
        create(`room_${round}_${n}`, n % 2 === 0 ? round % 6 : null),
      );
      const [leaving, staying] = [0, 1].map((odd) => Promise.all(answers.filter((_, n) => n % 2 === odd)));
      expect(new Set(await staying)).toEqual(new Set(["HTTP/1.1 200 OK"]));
      await leaving;
    }
    const { total } = await edge.client.tasks("?limit=1");
    expect(total).toBeGreaterThanOrEqual(30 * 20);
  });

  it("accepts many simultaneous creates of the greatest length", async () => {
    // Such a character takes nine when it is shown, and the mark that hides a query makes the text take two bytes a character.
    const path = "课".repeat(200);
    const longest = Array.from({ length: 100 }, (_, n) => `https://media.example/${n}/${path}${n === 0 ? "?a=b" : ""}`);
    const answers = Array.from({ length: 140 }, (_, n) => create(`long_${n}`, null, longest));
    expect(new Set(await Promise.all(answers))).toEqual(new Set(["HTTP/1.1 200 OK"]));
  });

  it("answers creates that wait for a shared call while nothing else happens", async () => {
    let together = 1;
    for (let round = 0; round < 20 && together === 1; round += 1) {
      const asked = Array.from({ length: 8 }, () => fetch(`http://127.0.0.1:${edge.companionPort}/`));
      const answers = await Promise.all(asked.map(async (answer) => (await answer).text()));
      expect(answers.join(" ")).toMatch(/^\d( \d){7}$/);
      together = Math.max(...answers.map(Number));
    }
    expect(together).toBeGreaterThan(1);
  });
});
