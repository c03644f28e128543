import { type ChildProcess, spawn } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { eventually } from "../../base/eventually.test-support.ts";

const MEDIA = "-re -f lavfi -i testsrc2=s=320x180:r=25 -f lavfi -i sine=r=48000";
export const COPYABLE = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g 12 -keyint_min 12 -c:a aac";
export const FOREIGN = "-c:v mpeg2video -g 12 -c:a mp2";

/** An ffmpeg on loopback that accepts one SRT connection and sends a test picture in real time until it is stopped. */
export class SrtServer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;

  private constructor(port: number, query: string, codecs: string) {
    this.port = port;
    const url = `srt://127.0.0.1:${port}?mode=listener&${query}`;
    const args = ["-v", "error", "-nostdin", ...`${MEDIA} -f mpegts ${codecs}`.split(" "), url];
    // The process runs under another name, so that it does not count as one of the worker's processes.
    this.#process = spawn("ffmpeg", args, { stdio: "ignore", argv0: "srt-server" });
    this.#closed = once(this.#process, "close");
  }

  /** Resolves when the server listens. */
  static async start(query: string, { codecs = COPYABLE, port }: { codecs?: string; port?: number } = {}) {
    const server = new SrtServer(port ?? (await freeUdpPort()), query, codecs);
    const bound = `:${server.port.toString(16).toUpperCase().padStart(4, "0")} `;
    await eventually(async () => {
      if (!(await readFile("/proc/net/udp", "utf8")).includes(bound)) throw new Error("It does not listen yet.");
    });
    return server;
  }

  /** Ends the connection regularly; idempotent. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#closed;
  }
}

async function freeUdpPort(): Promise<number> {
  const socket = dgram.createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}
