import { type TaskView, TERMINAL_STATES } from "@roomcast/shared";

const BAR_WIDTH = 24;

/** A task as one line: state, position and duration, frame rate, bit rate, how it is played. Pure. */
export function progressLine(task: Pick<TaskView, "state" | "progress" | "plan">): string {
  const { state, progress, plan } = task;
  const name = state.padEnd(12);
  if (progress === null) return name.trimEnd();
  const { positionMs, durationMs, fps, bitRateKbps } = progress;
  const position =
    durationMs === null
      ? seconds(positionMs)
      : `${seconds(positionMs)} / ${seconds(durationMs)} ${bar(positionMs / durationMs)}`;
  const ended = TERMINAL_STATES.some((terminal) => terminal === state);
  const rates = ended ? "" : `${fps.toFixed(1)} fps  ${Math.round(bitRateKbps)} kbit/s`;
  const how = plan === null ? "" : `video ${plan.video}, audio ${plan.audio}`;
  return [name, position, rates, how].filter((part) => part !== "").join("  ");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`.padStart(7);
}

function bar(ratio: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, ratio)) * BAR_WIDTH);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}]`;
}
