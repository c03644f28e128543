import net from "node:net";
import tls from "node:tls";

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly signal: AbortSignal;
}

/** Opens a TCP or TLS connection to an RTMP server. Rejects with a RoomcastError or a socket error. */
export type Dial = (target: DialTarget) => Promise<net.Socket>;

/**
 * Returns a function that connects directly, without judging the address. It is meant for addresses that the operator has
 * configured. With TLS, the server's certificate is verified.
 *
 * @param caCertificate a PEM certificate of an authority that is trusted instead of the system's authorities
 */
export function directDial(caCertificate?: string): Dial {
  return (target) => dial(target, caCertificate);
}

function dial(target: DialTarget, caCertificate: string | undefined): Promise<net.Socket> {
  const { host, port, signal } = target;
  signal.throwIfAborted();
  const where = { host, port, noDelay: true };
  const socket = target.tls
    ? tls.connect({
        ...where,
        // An IP address is not allowed as a server name (RFC 6066, section 3).
        ...(net.isIP(host) === 0 ? { servername: host } : {}),
        ...(caCertificate === undefined ? {} : { ca: caCertificate }),
      })
    : net.connect(where);
  return new Promise((resolve, reject) => {
    const abort = () => {
      socket.destroy(Object.assign(new Error("The connection took too long."), { code: "ETIMEDOUT" }));
    };
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", reject);
    socket.once("close", () => signal.removeEventListener("abort", abort));
    socket.once(target.tls ? "secureConnect" : "connect", () => {
      signal.removeEventListener("abort", abort);
      socket.off("error", reject);
      resolve(socket);
    });
  });
}
