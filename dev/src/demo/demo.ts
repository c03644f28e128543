import { setTimeout as delay } from "node:timers/promises";
import { pushRequestSchema, type TaskView } from "@roomcast/shared";
import { progressKey, readRecord } from "@roomcast/worker/progress-record";
import { Redis } from "ioredis";
import type { SessionReport } from "../emulator/room-report.ts";
import { SAMPLE_VIDEO, sampleFrames } from "../stack/sample-media.ts";
import type { Stack } from "../stack/stack.ts";
import { SDK_APP_ID } from "../stack/stack-secrets.ts";
import { progressLine } from "./progress-line.ts";
import { shownCurl } from "./shown-curl.ts";
import type { Terminal } from "./terminal.ts";
import { aboutFrames, type ExpectedPush, problemsOf } from "./verdict.ts";

export const CLIP = { durationS: 12 } as const;

const USER_ID = "teacher";
const FIRST_ROOM = 1001;
const SECOND_ROOM = 1002;
const STOP_AFTER_MS = 5000;
/** A recorded position is that of the last picture; the next may be a frame or two further. */
const POSITION_TOLERANCE_MS = 200;
const POLL_MS = 200;
/** A push that takes longer than this beyond its clip is stuck. */
const PATIENCE_MS = 30_000;

export interface DemoOptions {
  readonly stack: Stack;
  readonly terminal: Terminal;
  readonly clipPath: string;
}

/** The claim that one part of the demo shows, and the problems found. */
export interface DemoStep {
  readonly what: string;
  readonly problems: readonly string[];
}

/** The two things that the demo shows, one after the other. */
export class Demo {
  readonly #stack: Stack;
  readonly #terminal: Terminal;
  readonly #clipPath: string;

  constructor({ stack, terminal, clipPath }: DemoOptions) {
    this.#stack = stack;
    this.#terminal = terminal;
    this.#clipPath = clipPath;
  }

  /** A recorded file goes into a room. */
  async pushOnce(): Promise<DemoStep> {
    const request = await this.#request(FIRST_ROOM);
    this.#terminal.say(`\n1. One HTTP call pushes a ${CLIP.durationS} s video into room ${FIRST_ROOM}:\n`);
    this.#terminal.say(indent(shownCurl(this.#stack.edge.url, request)));
    const { status, body, taskId } = await this.#stack.client.submit(request);
    if (taskId === null) throw new Error(`the edge did not accept the push (HTTP ${status}): ${body}`);
    this.#terminal.say(`\n  HTTP ${status}  x-scf-reqid: ${taskId}\n  ${body}\n`);
    this.#terminal.say(`  Watch the room: ${watchUrl(this.#stack, FIRST_ROOM)}\n`);
    const task = await this.#follow(taskId);
    return this.#judge(task, {
      room: FIRST_ROOM,
      session: 0,
      expected: { frames: aboutFrames(sampleFrames(CLIP)), endReason: "left" },
      what: "The video played in the room from its first to its last picture",
    });
  }

  /** Stops a push that records its progress half-way, and continues from there. */
  async stopAndResume(): Promise<DemoStep> {
    const what = "A stopped push continued from its position";
    const request = { ...(await this.#request(SECOND_ROOM)), ...this.#stack.redisParameters() };
    this.#terminal.say(`\n2. A second push, with Redis: true, into room ${SECOND_ROOM}; it is stopped half-way:\n`);
    const first = await this.#stack.client.push(request);
    await this.#follow(first, (task) => (task.progress?.positionMs ?? 0) >= STOP_AFTER_MS);
    await this.#stack.client.stop(first, "tidy");
    const stopped = await this.#follow(first);
    if (stopped.state !== "aborted") return { what, problems: [endOf(stopped)] };

    const recordedMs = await this.#recordedPositionMs(request);
    if (recordedMs === null) return { what, problems: ["Redis holds no position of it"] };
    this.#terminal.say(`\n   Redis says that it was at ${seconds(recordedMs)}. The same call once more:\n`);
    const second = await this.#stack.client.push(request);
    const begun = await this.#follow(second, (task) => task.state === "pushing" && task.progress !== null);
    const begunMs = begun.progress?.positionMs ?? 0;
    this.#terminal.settle(`it continues, first seen at ${seconds(begunMs)}`);
    if (begunMs < recordedMs - POSITION_TOLERANCE_MS) {
      return { what, problems: [`it continued at ${seconds(begunMs)}, before ${seconds(recordedMs)}`] };
    }
    const task = await this.#follow(second);
    return this.#judge(task, {
      room: SECOND_ROOM,
      session: 1,
      expected: { frames: framesFrom(recordedMs), endReason: "left" },
      what: `${what} (${seconds(recordedMs)})`,
    });
  }

  async #request(room: number) {
    return {
      VideoSrc: this.#stack.files.serve(this.#clipPath),
      SdkAppId: SDK_APP_ID,
      RoomId: room,
      UserId: USER_ID,
      UserSig: await this.#stack.userSig(USER_ID),
    };
  }

  /** Shows a task's progress until it has ended, or `until` holds. */
  async #follow(taskId: string, until?: (task: TaskView) => boolean): Promise<TaskView> {
    const deadlineMs = Date.now() + CLIP.durationS * 1000 + PATIENCE_MS;
    for (;;) {
      const task = await this.#stack.client.task(taskId);
      const ended = task.status !== "RUNNING";
      if (ended) this.#terminal.settle(progressLine(task));
      else this.#terminal.live(progressLine(task));
      if (ended || until?.(task) === true) return task;
      if (Date.now() > deadlineMs)
        throw new Error(`the push is still ${task.state} long after its clip should be over`);
      await delay(POLL_MS);
    }
  }

  async #recordedPositionMs(request: Readonly<Record<string, unknown>>): Promise<number | null> {
    const { host, port, password } = this.#stack.redis;
    const redis = new Redis({ host, port, password, maxRetriesPerRequest: 1 });
    try {
      return readRecord(await redis.hgetall(progressKey(pushRequestSchema.parse(request))))?.positionMs ?? null;
    } finally {
      redis.disconnect();
    }
  }

  #judge(task: TaskView, { room, session, expected, what }: Judged): DemoStep {
    if (task.state !== "finished") return { what, problems: [endOf(task)] };
    const seen = this.#session(room, session);
    const problems = problemsOf(seen, expected);
    const { video } = seen?.stream ?? {};
    if (video !== undefined && video !== null) {
      this.#terminal.settle(
        `the room saw ${video.tags} pictures of ${video.width}×${video.height}, largest gap ${video.largestGapMs} ms, ` +
          `${video.bFrames} B-frames, timestamps back ${video.timestampsBack} times`,
      );
    }
    return { what, problems };
  }

  #session(room: number, index: number): SessionReport | undefined {
    const report = this.#stack.emulator.rooms().find(({ kind, id }) => kind === "number" && id === String(room));
    return report?.users.find(({ userId }) => userId === USER_ID)?.sessions[index];
  }
}

interface Judged {
  readonly room: number;
  /** Which of the publishes into the room, from 0. */
  readonly session: number;
  readonly expected: ExpectedPush;
  readonly what: string;
}

/**
 * Returns the number of pictures that follow a resume. The push continues at the recorded position. For decoding, the
 * room also gets the pictures between the last keyframe and that position, at once.
 */
function framesFrom(positionMs: number): ExpectedPush["frames"] {
  const rest = Math.max(0, sampleFrames(CLIP) - (positionMs / 1000) * SAMPLE_VIDEO.fps);
  const { min } = aboutFrames(rest);
  const { max } = aboutFrames(rest + SAMPLE_VIDEO.gopFrames);
  return { min: min - 1, max: max + 1 };
}

export function watchUrl(stack: Stack, room: number): string {
  return `${stack.emulator.httpUrl}/rooms/${room}/watch`;
}

function endOf(task: TaskView): string {
  const cause = task.error === null ? task.reason : `${task.error.code}: ${task.error.message}`;
  return `the task ended ${task.state}${cause === null ? "" : ` (${cause})`}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
