import { newRecord, type TaskRecord } from "./task-record.ts";

interface NewTaskRecordOptions {
  readonly createdAtMs: number;
  readonly replaces?: string[];
}

/** Returns the record of a task that was just accepted. The content of its request does not matter. */
export function newTaskRecord({ createdAtMs, replaces = [] }: NewTaskRecordOptions): TaskRecord {
  const request = {
    VideoSrc: "https://a.example/x",
    SdkAppId: 1,
    RoomId: 1,
    UserId: "u",
    Mode: "vod",
    Redis: false,
  } as const;
  const task = { taskId: "t", region: "ap-x", request, sealedRequest: "sealed", replaces };
  return newRecord(task, createdAtMs);
}
