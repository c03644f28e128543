import { RoomcastError } from "@roomcast/shared";
import { z } from "zod";

const MAX_PARAMETERS = 200;
const MAX_DEPTH = 5;

interface Branch {
  readonly children: Map<string, Branch | string>;
}

/** Reads the parameters of a GET, where `Status.0=RUNNING&StartTimeInterval.Start=…` stands for
 * `{"Status":["RUNNING"],"StartTimeInterval":{"Start":"…"}}`. Every value stays a string.
 *
 * @throws RoomcastError `InvalidParameter`
 */
export function nested(pairs: readonly (readonly [name: string, value: string])[]): unknown {
  if (pairs.length > MAX_PARAMETERS) {
    throw new RoomcastError("InvalidParameter", `There are more than ${MAX_PARAMETERS} parameters.`);
  }
  const root: Branch = { children: new Map() };
  for (const [name, value] of pairs) {
    const path = name.split(".");
    const last = path.pop() ?? "";
    if (path.length >= MAX_DEPTH) throw contradiction();
    branchAt(root, path).children.set(last, value);
  }
  return plain(root);
}

function branchAt(root: Branch, path: readonly string[]): Branch {
  let branch = root;
  for (const step of path) {
    const found = branch.children.get(step) ?? { children: new Map() };
    if (typeof found === "string") throw contradiction();
    branch.children.set(step, found);
    branch = found;
  }
  return branch;
}

function contradiction(): RoomcastError {
  return new RoomcastError(
    "InvalidParameter",
    "The query cannot be read: expected lists as Name.0=…&Name.1=… and objects as Name.Field=….",
  );
}

function plain(branch: Branch | string): unknown {
  if (typeof branch === "string") return branch;
  const entries = [...branch.children].map(([name, child]) => [name, plain(child)] as const);
  const isList = entries.length > 0 && entries.every(([name]) => /^[0-9]{1,3}$/.test(name));
  // `fromEntries` is safe with names such as `__proto__`, because it creates an own property for any name.
  if (!isList) return Object.fromEntries(entries);
  return entries.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value);
}

/**
 * Converts the strings of a query to the types that a schema expects. A string that the schema refuses, and that can be read as
 * a number, `true` or `false`, is replaced by that value. All other values are left unchanged, and the schema refuses them
 * later.
 */
export function typedFor(schema: z.ZodType, value: unknown): unknown {
  const issues = schema.safeParse(value).error?.issues ?? [];
  return issues.reduce((typed, { path }) => withTyped(typed, path), value);
}

function withTyped(value: unknown, [step, ...rest]: readonly PropertyKey[]): unknown {
  if (step === undefined) return typeof value === "string" ? read(value) : value;
  if (Array.isArray(value)) return value.map((each, at) => (at === step ? withTyped(each, rest) : each));
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, name === step ? withTyped(each, rest) : each]),
  );
}

function read(text: string): unknown {
  if (text === "true") return true;
  if (text === "false") return false;
  return /^-?[0-9]{1,15}(\.[0-9]{1,15})?$/.test(text) ? Number(text) : text;
}
