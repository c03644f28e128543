// This is JavaScript, because its types (workerd's) and those of the rest of this package (Node's) exclude each other.
import { acceptTogether } from "../../../edge/src/operations/accept-together.ts";

const ANSWER_MS = 200;

/** A Directory that answers late, and answers each push with the size of its group. */
const DIRECTORY = {
  getByName: () => ({
    acceptGroup: async (group) => {
      await scheduler.wait(ANSWER_MS);
      return group.map(() => ({ kind: "accepted", taskId: String(group.length) }));
    },
  }),
};

/** @public Each request asks for one push to be accepted. */
export default {
  fetch: async () => {
    const { taskId } = await acceptTogether({ DIRECTORY }, { sdkAppId: 1, push: "" });
    return new Response(taskId);
  },
};
