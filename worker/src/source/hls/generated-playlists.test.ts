import { createCipheriv } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HlsServer, PlainHttpClient, readAll, SleptClock, silent } from "./hls-server.test-support.ts";
import { openHls } from "./open-hls.ts";
import { randomFrom } from "./random-from.test-support.ts";

interface Expected {
  readonly sequence: number;
  readonly startMs: number;
  readonly text: string;
  readonly discontinuity: boolean;
}

const NAMES = ["seg$.ts", "seg $ ü.ts", "$", "$.jpg", "a/b/../$.ts?token=a,b&x=1", "12:3$.ts", "./$.m4s", "%41$.ts"];
const ENDINGS = ["\n", "\r\n", "\r", "\n\n", " \n"];

/**
 * Serves a random recorded playlist that is irregular but playable, and returns the segments that a reader must give.
 */
function generate(server: HlsServer, seed: number): Expected[] {
  const random = randomFrom(seed);
  const pick = <Item>(items: readonly Item[], otherwise: Item): Item =>
    items[Math.floor(random() * items.length)] ?? otherwise;
  const chance = (probability: number) => random() < probability;
  const pattern = pick(NAMES, "$");
  const ending = pick(ENDINGS, "\n");
  const first = chance(0.5) ? Math.floor(random() * 1000) : 0;
  const lines = [`#EXTM3U`];
  if (chance(0.8)) lines.push("#EXT-X-TARGETDURATION:6");
  if (first > 0 || chance(0.5)) lines.push(`#EXT-X-MEDIA-SEQUENCE:${first}`);
  if (chance(0.3)) lines.push("#EXT-X-UNKNOWN:x=1,http://x.example/", "# a comment");
  const expected: Expected[] = [];
  let key: Buffer | undefined;
  let iv: Buffer | undefined;
  let map: string | undefined;
  let breaks = true;
  let atMs = 0;
  const count = 1 + Math.floor(random() * 12);
  for (let index = 0; index < count; index += 1) {
    const sequence = first + index;
    const tags: string[] = [];
    const isDiscontinuity = chance(0.15);
    if (isDiscontinuity) tags.push("#EXT-X-DISCONTINUITY");
    const isGap = chance(0.1);
    if (isGap) tags.push("#EXT-X-GAP");
    if (chance(0.15)) {
      key = chance(0.3) ? undefined : Buffer.alloc(16, sequence);
      iv = chance(0.5) ? Buffer.alloc(16, index) : undefined;
      const vector = iv === undefined ? "" : `,IV=0x${iv.toString("hex")}`;
      tags.push(
        key === undefined ? "#EXT-X-KEY:METHOD=NONE" : `#EXT-X-KEY:METHOD=AES-128,URI="/${seed}/key${index}"${vector}`,
      );
      if (key !== undefined) server.serve(`/${seed}/key${index}`, key);
    }
    if (key === undefined && chance(0.1)) {
      map = `/${seed}/init${index}`;
      server.serve(map, map);
      tags.push(`#EXT-X-MAP:URI="${map}"`);
      breaks = true;
    }
    const durationMs = Math.round(1000 + random() * 5000);
    tags.push(`#EXTINF:${(durationMs / 1000).toFixed(3)}${pick([",", ",title", "", ",a,b"], ",")}`);
    const name = pattern.replace("$", String(index));
    const text = `segment ${seed}/${index} `.repeat(1 + Math.floor(random() * 50));
    const bytes = key === undefined ? Buffer.from(text) : encrypt(text, key, iv ?? vectorOf(sequence));
    const isRange = chance(0.2);
    if (isRange) tags.push(`#EXT-X-BYTERANGE:${bytes.length}@7`);
    if (!isGap) {
      const path = new URL(name.replace("12:", "./12:"), server.url(`/${seed}/list.m3u8`));
      server.serve(
        path.pathname + path.search,
        isRange ? Buffer.concat([Buffer.alloc(7), bytes, Buffer.alloc(5)]) : bytes,
      );
      expected.push({ sequence, startMs: atMs, text, discontinuity: breaks || isDiscontinuity });
    }
    // The tags of a gap apply to the missing segment only.
    breaks = isGap;
    atMs += durationMs;
    for (const tag of tags) lines.push(tag);
    lines.push(name);
  }
  lines.push(chance(0.5) ? "#EXT-X-ENDLIST" : "#EXT-X-PLAYLIST-TYPE:VOD");
  const text = lines.join(ending) + (chance(0.5) ? ending : "");
  server.serve(`/${seed}/list.m3u8`, (chance(0.3) ? "\uFEFF" : "") + text);
  return expected;
}

function encrypt(text: string, key: Buffer, iv: Buffer): Buffer {
  const cipher = createCipheriv("aes-128-cbc", key, iv);
  return Buffer.concat([cipher.update(text), cipher.final()]);
}

function vectorOf(sequence: number): Buffer {
  const iv = Buffer.alloc(16);
  iv.writeUInt32BE(sequence, 12);
  return iv;
}

describe("HlsPresentation of a generated playlist", () => {
  let server: HlsServer;
  const signal = new AbortController().signal;

  beforeAll(async () => {
    server = await HlsServer.start();
  });
  afterAll(() => server.close());

  it.each(Array.from({ length: 100 }, (_none, seed) => seed))("gives all segments for seed %i", async (seed) => {
    const expected = generate(server, seed);
    const presentation = await openHls({
      url: server.url(`/${seed}/list.m3u8`),
      http: new PlainHttpClient(),
      signal,
      logger: silent,
      clock: new SleptClock(),
    });
    expect(presentation.live).toBe(false);
    const read = await readAll(presentation.segments("main", { signal }));
    const seen = read.map(({ text, segment: { sequence, startMs, discontinuity } }) => {
      return { sequence, startMs: Math.round(startMs), text, discontinuity };
    });
    expect(seen).toEqual(expected);
  });
});
