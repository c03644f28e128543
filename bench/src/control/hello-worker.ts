import { Hono } from "hono";

/** The yardstick: the least that a Hono app does. It runs in the same workerd as the edge. */
export default new Hono().get("/hello", (c) => c.text("hello"));
