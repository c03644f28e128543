import { describe, expect, it } from "vitest";
import { Handshake } from "./handshake.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

function start(role: "client" | "server") {
  const sent: Buffer[] = [];
  const handshake = new Handshake(role, (bytes) => sent.push(Buffer.from(bytes)));
  return { handshake, sent: () => Buffer.concat(sent) };
}

describe("Handshake", () => {
  it("sends C0 and C1 at once and echoes S1 as soon as it arrives", () => {
    const { handshake, sent } = start("client");
    expect(sent().length).toBe(1537);
    expect(sent().subarray(0, 9).toString("hex")).toBe("030000000000000000");
    const s0s1 = Buffer.concat([Buffer.of(3), Buffer.alloc(1536, 7)]);
    expect(handshake.push(s0s1)).toBeNull();
    expect(sent().subarray(1537).equals(s0s1.subarray(1))).toBe(true);
    expect(handshake.push(Buffer.alloc(1536))?.length).toBe(0);
  });

  it("answers C0 and C1 with S0, S1 and the echo in S2", () => {
    const { handshake, sent } = start("server");
    expect(sent().length).toBe(0);
    handshake.push(Buffer.concat([Buffer.of(3), Buffer.alloc(1536, 7)]));
    expect(sent().length).toBe(3073);
    expect(sent()[0]).toBe(3);
    expect(sent().subarray(1537).equals(Buffer.alloc(1536, 7))).toBe(true);
  });

  it.each(["client", "server"] as const)("returns the bytes after the handshake, split at any byte (%s)", (role) => {
    const input = Buffer.concat([Buffer.of(3), Buffer.alloc(3072, 7), Buffer.from("next")]);
    const whole = start(role);
    expect(whole.handshake.push(input)?.toString()).toBe("next");
    for (const at of [1, 2, 1536, 1537, 1538, 3072, 3073, 3074, 3076]) {
      const { handshake, sent } = start(role);
      const first = handshake.push(input.subarray(0, at));
      const rest = first === null ? handshake.push(input.subarray(at)) : Buffer.concat([first, input.subarray(at)]);
      expect(rest?.toString()).toBe("next");
      expect(sent().length).toBe(whole.sent().length);
    }
  });

  it("rejects a peer that speaks another protocol with the typed error", () => {
    expect(() => start("server").handshake.push(Buffer.from("GET / HTTP/1.1"))).toThrow(RtmpProtocolError);
    expect(() => start("client").handshake.push(Buffer.of(6))).toThrow(RtmpProtocolError);
  });
});
