import { app } from "./app.ts";
import type { Env } from "./env.ts";

export { Directory } from "./directory/directory.ts";
export { Region } from "./region/region.ts";
export { Task } from "./task/task.ts";

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
