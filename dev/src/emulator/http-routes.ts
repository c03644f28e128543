import type { IncomingMessage, ServerResponse } from "node:http";
import { RoomcastError, type Seat, validate } from "@roomcast/shared";
import { faultRequestSchema } from "./fault-request.ts";
import type { FaultSwitches, RefuseNextOptions } from "./fault-switches.ts";
import type { FlvOutput } from "./flv-viewer.ts";
import { HttpProblem } from "./http-problem.ts";
import { readPageFile } from "./page-files.ts";
import type { RoomListReport, RoomReport } from "./room-report.ts";
import { findOneRoom, type RoomFinder, readRoomQuery } from "./seat-address.ts";

/** The functions of the emulator that the routes use. */
export interface EmulatedRooms extends RoomFinder {
  report(): RoomListReport;
  rooms(): readonly RoomReport[];
  watch(seat: Seat, output: FlvOutput): (() => void) | undefined;
  kick(seat: Seat): boolean;
  drop(seat: Seat): boolean;
  stall(seat: Seat): void;
  unstall(seat: Seat): void;
  refuseNext(options: RefuseNextOptions): void;
  faults(): ReturnType<FaultSwitches["report"]>;
  clearFaults(): void;
}

interface Call {
  readonly rooms: EmulatedRooms;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** The groups that the route's pattern matched. */
  readonly parts: readonly string[];
}

interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  readonly pattern: RegExp;
  readonly handle: (call: Call) => void | Promise<void>;
}

const ROUTES: readonly Route[] = [
  { method: "GET", pattern: /^\/$/, handle: (call) => sendFile(call, "rooms.html") },
  { method: "GET", pattern: /^\/page\/([\w.-]+)$/, handle: (call) => sendFile(call, call.parts[0] ?? "") },
  { method: "GET", pattern: /^\/healthz$/, handle: (call) => sendJson(call, 200, { ok: true, emulator: true }) },
  { method: "GET", pattern: /^\/rooms\/?$/, handle: (call) => sendJson(call, 200, call.rooms.report()) },
  { method: "GET", pattern: /^\/rooms\/([^/]+)$/, handle: sendRoom },
  { method: "GET", pattern: /^\/rooms\/([^/]+)\/watch$/, handle: (call) => sendFile(call, "watch.html") },
  { method: "GET", pattern: /^\/rooms\/([^/]+)\/([^/]+)\.flv$/, handle: sendFlv },
  { method: "DELETE", pattern: /^\/rooms\/([^/]+)\/users\/([^/]+)$/, handle: kickUser },
  { method: "GET", pattern: /^\/faults$/, handle: (call) => sendJson(call, 200, call.rooms.faults()) },
  { method: "POST", pattern: /^\/faults$/, handle: setFault },
  { method: "DELETE", pattern: /^\/faults$/, handle: clearFaults },
];

const MAX_BODY_BYTES = 16 * 1024;

/** Answers one HTTP request; never rejects. */
export async function handleHttp(
  rooms: EmulatedRooms,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const url = URL.parse(request.url ?? "/", "http://emulator");
    if (url === null) throw new HttpProblem(400, "The path is not valid.");
    const { route, parts } = findRoute(request.method ?? "GET", url.pathname);
    await route.handle({ rooms, request, response, url, parts });
  } catch (thrown) {
    sendProblem(response, thrown);
  }
}

function findRoute(method: string, path: string): { readonly route: Route; readonly parts: string[] } {
  const fitting = ROUTES.filter((route) => route.pattern.test(path));
  const route = fitting.find((candidate) => candidate.method === method);
  if (route === undefined) {
    throw fitting.length === 0
      ? new HttpProblem(404, "There is no such page.")
      : new HttpProblem(405, `Expected ${fitting.map((candidate) => candidate.method).join(" or ")}.`);
  }
  const parts = route.pattern.exec(path)?.slice(1) ?? [];
  try {
    return { route, parts: parts.map((part) => decodeURIComponent(part)) };
  } catch {
    throw new HttpProblem(400, "The path is not valid.");
  }
}

function sendRoom(call: Call): void {
  const { room, sdkAppId } = findOneRoom(call.rooms, readRoomQuery(call.parts[0] ?? "", call.url.searchParams));
  const report = call.rooms
    .rooms()
    .find((each) => each.sdkAppId === sdkAppId && each.kind === room.kind && each.id === String(room.id));
  sendJson(call, 200, report);
}

function sendFlv(call: Call): void {
  const seat = seatOf(call);
  // Set, not written: an error may still take their place.
  call.response.setHeader("content-type", "video/x-flv");
  call.response.setHeader("cache-control", "no-store");
  call.response.setHeader("access-control-allow-origin", "*");
  const leave = call.rooms.watch(seat, call.response);
  if (leave === undefined) throw new HttpProblem(404, `${seat.userId} is not publishing now.`);
  call.response.once("close", leave);
}

function kickUser(call: Call): void {
  const seat = seatOf(call);
  if (!call.rooms.kick(seat)) throw new HttpProblem(404, `${seat.userId} is not publishing now.`);
  call.response.writeHead(204).end();
}

function seatOf(call: Call): Seat {
  const [roomId = "", userId = ""] = call.parts;
  return { ...findOneRoom(call.rooms, readRoomQuery(roomId, call.url.searchParams)), userId };
}

async function setFault(call: Call): Promise<void> {
  const fault = validate(faultRequestSchema, await readJson(call.request));
  switch (fault.kind) {
    case "refuse": {
      const { code, description, scope, times } = fault;
      call.rooms.refuseNext({
        times,
        ...(scope === undefined ? {} : { scope }),
        refusal: { ...(code === undefined ? {} : { code }), ...(description === undefined ? {} : { description }) },
      });
      break;
    }
    case "stall":
      call.rooms.stall(fault.seat);
      break;
    case "unstall":
      call.rooms.unstall(fault.seat);
      break;
    case "drop":
      if (!call.rooms.drop(fault.seat)) throw new HttpProblem(404, `${fault.seat.userId} is not publishing now.`);
      break;
  }
  sendJson(call, 200, call.rooms.faults());
}

function clearFaults(call: Call): void {
  call.rooms.clearFaults();
  call.response.writeHead(204).end();
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  // A page of another site may send a form or plain text here without asking; for JSON its browser has to ask, and is
  // not answered.
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    throw new HttpProblem(415, "Expected a body with Content-Type: application/json.");
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    // SAFETY: a request without an encoding set gives Buffers.
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > MAX_BODY_BYTES) throw new HttpProblem(413, `The body is longer than ${MAX_BODY_BYTES} bytes.`);
    chunks.push(bytes);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new HttpProblem(400, "The body is not JSON.");
  }
}

async function sendFile(call: Call, name: string): Promise<void> {
  const file = await readPageFile(name);
  if (file === undefined) throw new HttpProblem(404, "There is no such page.");
  call.response
    .writeHead(200, {
      "content-type": file.type,
      "cache-control": "no-cache",
      "content-security-policy":
        "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'",
      "x-content-type-options": "nosniff",
    })
    .end(file.bytes);
}

function sendJson(call: Call, status: number, body: unknown): void {
  call.response
    .writeHead(status, {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "access-control-allow-origin": "*",
    })
    .end(JSON.stringify(body));
}

/** Errors are `{"error":{"message":…}}`. */
function sendProblem(response: ServerResponse, thrown: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known =
    thrown instanceof HttpProblem
      ? thrown
      : new HttpProblem(
          RoomcastError.from(thrown).httpStatus,
          thrown instanceof RoomcastError ? thrown.message : "Something inside the emulator went wrong.",
        );
  response
    .writeHead(known.status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" })
    .end(JSON.stringify({ error: { message: known.message } }));
}
