import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { acceptOf } from "../testing/accept-of.ts";
import { fresh } from "../testing/fixtures.ts";

const SDK_APP_ID = 1_477_100_001;

function asked(seatKey: string, rest: Partial<Parameters<typeof acceptOf>[0]> = {}) {
  return acceptOf({ taskId: fresh("task"), sdkAppId: SDK_APP_ID, seatKey, ...rest });
}

test("pushes that come in one call are answered one after another, as if each had come alone", async () => {
  const [seat, other, key] = [fresh("seat"), fresh("seat"), fresh("key")];
  const idempotency = { key, fingerprints: ["of the first request"] as [string] };
  const first = asked(seat, { idempotency });
  const repeated = asked(seat, { idempotency });
  const group = [
    first,
    asked(other),
    repeated,
    asked(fresh("seat"), { idempotency: { key, fingerprints: ["of another request"] } }),
    asked(seat, { onConflict: "reject" }),
    asked(seat),
  ];
  const answers = await env.DIRECTORY.getByName(fresh("directory")).acceptAll(group);
  expect(answers).toEqual([
    { kind: "accepted", taskId: first.taskId },
    { kind: "accepted", taskId: group[1]?.taskId },
    { kind: "accepted", taskId: first.taskId },
    { kind: "conflict" },
    { kind: "taken", by: first.taskId },
    { kind: "accepted", taskId: group[5]?.taskId },
  ]);
});
