import { createServer } from "node:http";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { type LoopbackServer, listenOnLoopback } from "./loopback-servers.ts";

/** The number of frames that met each fate. */
export interface FrameFates {
  passed: number;
  lost: number;
  doubled: number;
  /** Frames that were sent after the next frame. */
  reordered: number;
  malformed: number;
}

/** A WebSocket relay that loses, doubles, reorders and garbles frames. The same seed affects the same frames. */
export interface UnreliableLink extends LoopbackServer {
  readonly fates: Readonly<FrameFates>;
  /** Makes every later frame pass unchanged. */
  heal(): void;
}

/** The share of frames that meets each fate. */
const LOST = 0.06;
const DOUBLED = 0.06;
const REORDERED = 0.06;
const MALFORMED = 0.03;

export async function startUnreliableLink(targetPort: number, seed: number): Promise<UnreliableLink> {
  const random = mulberry32(seed);
  const fates: FrameFates = { passed: 0, lost: 0, doubled: 0, reordered: 0, malformed: 0 };
  let healed = false;
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });

  const fateOf = (): keyof FrameFates => {
    if (healed) return "passed";
    const dice = random();
    if (dice < LOST) return "lost";
    if (dice < LOST + DOUBLED) return "doubled";
    if (dice < LOST + DOUBLED + REORDERED) return "reordered";
    return dice < LOST + DOUBLED + REORDERED + MALFORMED ? "malformed" : "passed";
  };

  const relay = (from: WebSocket, to: WebSocket): void => {
    let held: string | undefined;
    from.on("message", (data: RawData) => {
      // SAFETY: ws gives one Buffer unless its binaryType is changed.
      const text = (data as Buffer).toString("utf8");
      const fate = fateOf();
      fates[fate] += 1;
      if (fate === "reordered" && held === undefined) {
        held = text;
        return;
      }
      const out =
        fate === "lost" ? [] : fate === "doubled" ? [text, text] : [fate === "malformed" ? garbled(text) : text];
      if (held !== undefined) out.push(held);
      held = undefined;
      for (const frame of out) if (to.readyState === WebSocket.OPEN) to.send(frame);
    });
    from.on("error", () => {});
    from.on("close", (code, reason) => {
      if (to.readyState === WebSocket.OPEN) to.close(sendable(code), reason);
      else to.terminate();
    });
  };

  sockets.on("connection", (near, request) => {
    const { authorization = "" } = request.headers;
    const far = new WebSocket(`ws://127.0.0.1:${targetPort}${request.url}`, { headers: { authorization } });
    // Frames that the worker sends before the far side is open wait in the socket's buffer.
    near.pause();
    far.once("open", () => near.resume());
    relay(near, far);
    relay(far, near);
  });
  const server = await listenOnLoopback(http);
  return {
    port: server.port,
    fates,
    heal: () => {
      healed = true;
    },
    stop: async () => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      await server.stop();
    },
  };
}

/** Returns the first half of the text, which is no longer valid JSON. */
function garbled(text: string): string {
  return text.slice(0, text.length / 2);
}

/** 1005 and 1006 say that there was no code; they cannot be sent (RFC 6455, section 7.4.1). */
function sendable(code: number): number {
  return code === 1005 || code === 1006 ? 1011 : code;
}

/** T. Ettinger's mulberry32: numbers from 0 to below 1, the same for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
