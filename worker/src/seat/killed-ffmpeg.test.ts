import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { Egress } from "../egress/egress.ts";
import { children } from "../source/child-processes.test-support.ts";
import { findMediaTools } from "../source/ffmpeg/media-tools.ts";
import { SourceFactory } from "../source/open/open-source.ts";
import { MediaServer } from "../source/sources.test-support.ts";
import { prepare, steps } from "./room-session.test-support.ts";

let server: MediaServer;
let egress: Egress;
let sources: SourceFactory;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  server = await MediaServer.start();
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools: found.tools, egress });
}, 60_000);

afterAll(async () => {
  await sources.close();
  await egress.close();
  await server.stop();
});

describe("RoomSession", () => {
  it("continues at the room's position on the same connection when ffmpeg is killed", async () => {
    const inputs = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=2", "-f", "lavfi", "-i", "sine=r=48000:d=2"];
    // The file is so large that ffmpeg cannot finish long before the room has seen it.
    const codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p", "-c:a", "aac"];
    await server.make("short.mp4", ...inputs, ...codecs);
    const film = await server.make("film.mp4", "-stream_loop", "9", "-i", "short.mp4", "-c", "copy");
    const url = server.serve("film.mp4", film);
    const log = pino({ level: "silent" });
    const openedAt: number[] = [];
    const {
      session: played,
      rooms,
      states,
    } = prepare({
      programme: { items: [url], plays: 1 },
      // The changed volume makes ffmpeg encode.
      volume: 200,
      openSource: ({ startAtMs, volume }, signal) => {
        openedAt.push(startAtMs);
        return sources.open({ url, live: false, startAtMs, volume, signal, log });
      },
    });
    await eventually(() => expect(played.snapshot().positionMs).toBeGreaterThan(1_000));
    const [ffmpeg] = await children();
    if (ffmpeg === undefined) throw new Error("No ffmpeg runs.");
    process.kill(ffmpeg.pid, "SIGKILL");
    await eventually(() => expect(states).toEqual(["pushing", "reconnecting", "pushing"]));
    const [, backAtMs = 0] = openedAt;
    await eventually(() => expect(played.snapshot().positionMs).toBeGreaterThan(backAtMs + 500));
    played.stop("now");
    await played.run();
    expect([openedAt.length, rooms.length, steps(rooms[0]).back]).toEqual([2, 1, 0]);
    expect(backAtMs).toBeGreaterThan(1_000);
  });
});
