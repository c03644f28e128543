import { parseAddressPolicy, RoomcastError } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { findMediaTools, type MediaTools } from "../ffmpeg/media-tools.ts";
import { SourceFactory } from "../open/open-source.ts";
import { readToEnd } from "../sources.test-support.ts";
import { ClipShelf } from "./clip-shelf.test-support.ts";
import { ComposedServer } from "./composed-server.test-support.ts";
import { type Composition, compose, shownComposition } from "./composition.test-support.ts";
import { expectWhole, predictedFailure } from "./expectation.test-support.ts";
import { publish } from "./publish.test-support.ts";

const SEEDS = 50;

/** `ROOMCAST_SOURCE_SEEDS=17` runs one seed, `ROOMCAST_SOURCE_SEEDS=50-249` runs those. */
function seeds(): number[] {
  const asked = /^(\d+)(?:-(\d+))?$/.exec(process.env["ROOMCAST_SOURCE_SEEDS"] ?? "");
  const first = Number(asked?.[1] ?? 0);
  const last = asked === null ? SEEDS - 1 : Number(asked[2] ?? first);
  return Array.from({ length: last - first + 1 }, (_none, at) => first + at);
}

const log = pino({ level: "silent" });
let tools: MediaTools;
let shelf: ClipShelf;
let server: ComposedServer;
let egress: Egress;
let sources: SourceFactory;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  tools = found.tools;
  shelf = await ClipShelf.open({ path: tools.ffmpegPath, version: tools.ffmpegVersion });
  server = await ComposedServer.start();
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools, egress });
});

afterAll(async () => {
  await sources.close();
  await egress.close();
  await server.stop();
});

/** Opens the source of a composition and reads it to its end. @throws RoomcastError if it cannot be played */
async function play(composition: Composition) {
  const url = await publish(composition, shelf, server);
  const { signal } = new AbortController();
  const source = await sources.open({ url, live: false, startAtMs: composition.startAtMs, signal, log });
  try {
    const read = await readToEnd(source);
    return { source, ...read };
  } finally {
    await source.close();
  }
}

/** Returns the code with which the source failed, on opening or later, or null if it did not fail. */
async function failureOf(composition: Composition): Promise<string | null> {
  try {
    const { end } = await play(composition);
    return end.name === "failed" ? end.error.code : null;
  } catch (error) {
    if (error instanceof RoomcastError) return error.code;
    throw error;
  }
}

const generated = seeds()
  .map(compose)
  .map((composition) => {
    const failure = predictedFailure(composition);
    return { composition, failure, made: `seed ${composition.seed}, ${shownComposition(composition)}` };
  });

describe("A generated source", () => {
  for (const { composition, made } of generated.filter(({ failure }) => failure === null)) {
    it.concurrent(`plays completely: ${made}`, async () => {
      await expectWhole(composition, await play(composition), { ...tools, lumas: shelf.lumas });
    });
  }

  for (const { composition, failure, made } of generated.filter((each) => each.failure !== null)) {
    it.concurrent(`fails with ${failure}: ${made}`, async () => {
      expect(await failureOf(composition)).toBe(failure);
    });
  }
});
