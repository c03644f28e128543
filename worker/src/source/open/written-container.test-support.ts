import { box, numbers } from "../mp4/written-index.test-support.ts";

const CONTAINERS = ["moov", "trak", "mdia", "minf", "dinf"];

/**
 * Returns a MOV, given one whose index is behind its media, whose tracks refer to media in another file (QuickTime File
 * Format, "Data Reference Atoms").
 */
export function withDataReference(mov: Buffer, kind: "url " | "alis", where: string): Buffer {
  const entry = kind === "url " ? box("url ", numbers([0]), Buffer.from(`${where}\0`)) : alias(where);
  return Buffer.concat(rewritten(mov, box("dref", numbers([0, 1]), entry)));
}

function rewritten(body: Buffer, dref: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= body.length; ) {
    const size = body.readUInt32BE(at);
    const type = body.toString("latin1", at + 4, at + 8);
    const whole = body.subarray(at, at + size);
    if (type === "dref") parts.push(dref);
    else parts.push(CONTAINERS.includes(type) ? box(type, ...rewritten(whole.subarray(8), dref)) : whole);
    at += size;
  }
  return parts;
}

/** Returns an alias record of version 2 with an absolute path, as ffmpeg's `mov_read_dref` reads it. */
function alias(path: string): Buffer {
  const fixed = Buffer.alloc(4 + 10 + 28 + 12 + 64 + 16 + 4 + 16);
  const tail = Buffer.alloc(4 + path.length + (path.length % 2));
  tail.writeUInt16BE(2, 0);
  tail.writeUInt16BE(path.length, 2);
  tail.write(path, 4);
  return box("alis", fixed, tail, Buffer.from([0xff, 0xff, 0, 0]), Buffer.alloc(64));
}
