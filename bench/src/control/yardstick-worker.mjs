// JavaScript, because its types (workerd's) and those of the rest of this package (Node's) exclude each other.
import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";

/** About as long as what a task writes about itself. */
const RECORD = "x".repeat(1200);
const ALARM_MS = 3_600_000;

/** @public Bound by workerd's configuration. The least that an object which keeps something and wakes later does. */
export class Bare extends DurableObject {
  async create() {
    this.ctx.storage.kv.put("record", RECORD);
    await this.ctx.storage.setAlarm(Date.now() + ALARM_MS);
  }

  /** Without it no alarm can be set. */
  alarm() {}
}

/** @public What creates are compared with, in the same workerd: the least that a Hono app does, and that a new object does. */
export default new Hono()
  .get("/hello", (c) => c.text("hello"))
  .get("/object", async (c) => {
    await c.env.BARE.getByName(crypto.randomUUID()).create();
    return c.text("created");
  });
