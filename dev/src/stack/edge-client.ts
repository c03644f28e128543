import {
  type TaskList,
  type TaskLogs,
  type TaskUpdate,
  type TaskView,
  taskListSchema,
  taskLogsSchema,
  taskViewSchema,
  type WorkerList,
  workerListSchema,
} from "@roomcast/shared";

export interface EdgeClientOptions {
  /** As `http://127.0.0.1:8787`. */
  readonly url: string;
  /** The value of the Authorization header. */
  readonly authorization: string;
}

export interface SubmittedPush {
  readonly status: number;
  readonly body: string;
  /** The header `x-scf-reqid`, or null if there was none. */
  readonly taskId: string | null;
}

/** Calls the edge's HTTP API as its users do. */
export class EdgeClient {
  readonly #options: EdgeClientOptions;

  constructor(options: EdgeClientOptions) {
    this.#options = options;
  }

  /** `POST /`, whatever comes back: also what is no valid request may be sent. */
  async submit(request: unknown, headers: Readonly<Record<string, string>> = {}): Promise<SubmittedPush> {
    const response = await this.fetch("/", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: typeof request === "string" ? request : JSON.stringify(request),
    });
    return {
      status: response.status,
      body: await response.text(),
      taskId: response.headers.get("x-scf-reqid"),
    };
  }

  /**
   * Starts a push.
   *
   * @returns its task id
   * @throws Error with the edge's answer when it is not accepted.
   */
  async push(request: unknown): Promise<string> {
    const { status, body, taskId } = await this.submit(request);
    if (status !== 200 || taskId === null)
      throw new Error(`The edge did not accept the push (HTTP ${status}): ${body}`);
    return taskId;
  }

  async task(taskId: string): Promise<TaskView> {
    return taskViewSchema.parse(await this.#json(`/v1/tasks/${taskId}`));
  }

  async tasks(query = ""): Promise<TaskList> {
    return taskListSchema.parse(await this.#json(`/v1/tasks${query}`));
  }

  async logs(taskId: string): Promise<TaskLogs> {
    return taskLogsSchema.parse(await this.#json(`/v1/tasks/${taskId}/logs`));
  }

  async workers(): Promise<WorkerList["workers"]> {
    return workerListSchema.parse(await this.#json("/v1/workers")).workers;
  }

  /** `PATCH /v1/tasks/:id`: changes a push; resolves when the room sees it. */
  async change(taskId: string, update: TaskUpdate): Promise<TaskView> {
    const init = { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify(update) };
    return taskViewSchema.parse(await this.#json(`/v1/tasks/${taskId}`, init));
  }

  /** `DELETE /v1/tasks/:id`: stops a push at once, or tidily. */
  async stop(taskId: string, how: "now" | "tidy" = "now"): Promise<void> {
    await this.#json(`/v1/tasks/${taskId}${how === "tidy" ? "?how=tidy" : ""}`, { method: "DELETE" });
  }

  /** Makes a call with the credential, for requests without a method here. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has("Authorization")) headers.set("Authorization", this.#options.authorization);
    return fetch(`${this.#options.url}${path}`, { ...init, headers });
  }

  async #json(path: string, init?: RequestInit): Promise<unknown> {
    const response = await this.fetch(path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${init?.method ?? "GET"} ${path} answered HTTP ${response.status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}
