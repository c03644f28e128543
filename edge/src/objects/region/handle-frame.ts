import { CLOSE, type TaskRef, type WorkerFrame, type WorkerFrameOf } from "@roomcast/shared";
import { warn } from "../../base/warn.ts";
import type { AttemptRef, WorkerEvent } from "../../contracts/task-object.ts";
import type { RegionState } from "./region-state.ts";
import type { GreetedSocket } from "./worker-sockets.ts";

const STALE = "This attempt does not hold the task any more.";

/**
 * The costs of a report, and of a frame about a task that the region has not given to the worker, in short frames of
 * the worker's budget. An honest worker can afford them, because a report comes once in an interval, and unknown tasks
 * are rare.
 */
const REPORT_COST = 20;
const STRANGER_COST = 20;

/** Handles a frame that a worker sends after its hello. */
export async function handleFrame(
  regionState: RegionState,
  socket: WebSocket,
  state: GreetedSocket,
  frame: WorkerFrame,
): Promise<void> {
  const { workerId } = state;
  if ("taskId" in frame && !regionState.assignments.hasGiven(frame.taskId, frame.attempt, workerId)) {
    if (!regionState.frames.take(workerId, STRANGER_COST, Date.now())) return regionState.dropLoud(socket);
    return answerStranger(regionState, socket, frame);
  }
  switch (frame.type) {
    case "hello":
      return regionState.drop(socket, CLOSE.malformedFrame, "A hello comes once.");
    case "report":
      return report(regionState, socket, state, frame);
    case "accepted":
      return pass(regionState, socket, { ...frame, workerId, event: { type: "accepted" } });
    case "refused":
      regionState.assignments.removeOf(workerId, frame.taskId, frame.attempt);
      return pass(regionState, socket, { ...frame, workerId, event: { type: "refused", error: frame.error } });
    case "ended":
      return ended(regionState, socket, frame, workerId);
    case "logs":
      return regionState.tasks.appendLogs(frame.taskId, { attempt: frame.attempt, workerId }, frame.lines);
    case "updated":
      return regionState.tasks.updated(frame.taskId, { attempt: frame.attempt, workerId }, frame.updateId, frame.error);
    case "draining":
      regionState.sockets.set(socket, { ...state, draining: true });
      return;
    case "confirm":
      return confirm(regionState, socket, frame, workerId);
    default:
      // This is a frame of a newer worker, which this edge does not know.
      return;
  }
}

/**
 * Answers a frame about an attempt that this region has not given to the worker. The answer is the one that the task
 * would give: the worker does not hold the attempt. The Task object is not asked, because each question creates an
 * object, and anyone with a worker token could invent any number of tasks.
 */
function answerStranger(
  { sockets }: RegionState,
  socket: WebSocket,
  { type, taskId, attempt }: Extract<WorkerFrame, { taskId: string }>,
): void {
  // Without an acknowledgement the worker would repeat the frame without end.
  if (type === "ended") return sockets.send(socket, { type: "ack", taskId, attempt });
  if (type === "logs" || type === "updated") return;
  sockets.send(socket, { type: "stop", taskId, attempt, how: "now", reason: STALE });
}

async function report(
  regionState: RegionState,
  socket: WebSocket,
  state: GreetedSocket,
  frame: WorkerFrameOf<"report">,
): Promise<void> {
  const { workerId, instanceId } = state;
  const isGiven = ({ taskId, attempt }: TaskRef) =>
    regionState.assignments.match(taskId, attempt, workerId) !== undefined;
  const strangers = frame.tasks.filter((task) => !isGiven(task)).length;
  // Each task that is not assigned to the worker costs one more, because it is answered.
  if (!regionState.frames.take(workerId, REPORT_COST + strangers, Date.now())) return regionState.dropLoud(socket);
  const usedUnits = regionState.usedUnits(state);
  const reported: GreetedSocket = { ...state, loadUnits: frame.load.units };
  regionState.sockets.set(socket, reported);
  regionState.sockets.send(socket, { type: "heartbeat" });
  // The request is sent again with each report, because a task may have been dispatched late or a frame may have been
  // lost.
  if (regionState.drained.has(workerId)) regionState.requestRelease(workerId);
  const nowMs = Date.now();
  const telling: Promise<void>[] = [];
  for (const task of frame.tasks) {
    const { taskId, attempt } = task;
    // If the task is not assigned to this worker, the Task object is not asked: a worker could invent thousands of
    // tasks, and each question creates an object.
    if (!isGiven(task)) {
      regionState.sockets.send(socket, { type: "stop", taskId, attempt, how: "now", reason: STALE });
      continue;
    }
    regionState.adopt(task, workerId, instanceId);
    if (!regionState.reports.put(task, nowMs)) continue;
    telling.push(pass(regionState, socket, { taskId, attempt, workerId, event: { type: "reported", report: task } }));
  }
  // The tasks are adopted first, because the units of a reported task are then no longer reserved on top of the
  // worker's load.
  regionState.measure(reported, frame.load.cpu);
  if (regionState.usedUnits(reported) < usedUnits) regionState.wakeWaiting();
  await Promise.all(telling);
}

async function ended(
  regionState: RegionState,
  socket: WebSocket,
  frame: WorkerFrameOf<"ended">,
  workerId: string,
): Promise<void> {
  const { taskId, attempt, outcome, item, positionMs } = frame;
  try {
    // An unknown or stale task is acknowledged too, or the worker would repeat the frame without end.
    await regionState.tasks.workerEvent(taskId, { attempt, workerId }, { type: "ended", outcome, item, positionMs });
  } catch (thrown) {
    // The frame is not acknowledged, so the worker sends it again.
    warn("end not written", thrown);
    return;
  }
  regionState.sockets.send(socket, { type: "ack", taskId, attempt });
  regionState.unassignFrom(workerId, taskId, attempt);
}

/** Answers a worker that is about to enter the room and asks whether it still holds the task. */
async function confirm(
  regionState: RegionState,
  socket: WebSocket,
  { taskId, attempt }: WorkerFrameOf<"confirm">,
  workerId: string,
): Promise<void> {
  try {
    const held = await regionState.tasks.holds(taskId, { attempt, workerId });
    regionState.sockets.send(
      socket,
      held ? { type: "confirmed", taskId, attempt } : { type: "stop", taskId, attempt, how: "now", reason: STALE },
    );
  } catch (thrown) {
    // The worker asks again if it gets no answer.
    warn("an attempt was not confirmed", thrown);
  }
}

interface PassedEvent extends AttemptRef {
  readonly taskId: string;
  readonly event: WorkerEvent;
}

/**
 * Passes a worker's message on to the task. An attempt that is stale, or that was asked to end, is answered with
 * `stop`. Never rejects.
 */
export async function pass(regionState: RegionState, socket: WebSocket, passed: PassedEvent): Promise<void> {
  const { taskId, attempt, workerId, event } = passed;
  try {
    const answer = await regionState.tasks.workerEvent(taskId, { attempt, workerId }, event);
    if (answer.kind === "holds") {
      // An attempt that was asked to end is asked again, because the worker may have been disconnected the first time.
      if (answer.stop !== null)
        regionState.sockets.send(socket, {
          type: "stop",
          taskId,
          attempt,
          how: answer.stop.how,
          reason: answer.stop.reason,
        });
      return;
    }
    if (regionState.assignments.removeOf(workerId, taskId, attempt)) regionState.reports.remove(taskId);
    regionState.sockets.send(socket, { type: "stop", taskId, attempt, how: "now", reason: STALE });
  } catch (thrown) {
    // The report is forgotten, so that the next one is passed on even if it says the same.
    if (regionState.assignments.match(taskId, attempt, workerId) !== undefined) regionState.reports.remove(taskId);
    warn("a worker's event was not passed on", thrown);
  }
}
