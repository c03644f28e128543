import type { ErrorCode, TaskView } from "@roomcast/shared";

/** https://www.tencentcloud.com/document/product/583/35311 */
const CODE = { running: 0, success: 200, codeFailed: 430, timedOut: 433, exited: 439, canceled: 499 } as const;

const FAILURES: Partial<Record<ErrorCode, number>> = {
  "FailedOperation.ExecutionTimeout": CODE.timedOut,
  "FailedOperation.WorkerLost": CODE.exited,
  "FailedOperation.TaskQuarantined": CODE.exited,
};

/** Returns a task's end as the status code of a cloud function's run. Pure. */
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
