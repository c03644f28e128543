import type { ErrorCode, TaskView } from "@roomcast/shared";

/** The status codes of SCF that are used, see https://www.tencentcloud.com/document/product/583/35311. */
const CODE = { running: 0, success: 200, codeFailed: 430, timedOut: 433, exited: 439, canceled: 499 } as const;

const FAILURES: Partial<Record<ErrorCode, number>> = {
  "FailedOperation.ExecutionTimeout": CODE.timedOut,
  "FailedOperation.WorkerLost": CODE.exited,
  "FailedOperation.TaskQuarantined": CODE.exited,
};

/** Returns the status code that SCF would show for a function run that ended like the task, or that is still running. Pure. */
export function scfStatusCode({ status, error }: Pick<TaskView, "status" | "error">): number {
  switch (status) {
    case "RUNNING":
      return CODE.running;
    case "FINISHED":
      return CODE.success;
    case "ABORTED":
      return CODE.canceled;
    default:
      return (error === null ? undefined : FAILURES[error.code]) ?? CODE.codeFailed;
  }
}
