import { z } from "zod";
import { type FieldProblem, RoomcastError } from "./errors.ts";

type Issue = z.core.$ZodIssue;

const MAX_NAME_LENGTH = 32;
/** Further problems are counted, not listed; a request has fewer parameters than this. */
const MAX_PROBLEMS = 32;

function problemsOf(issue: Issue, input: unknown): FieldProblem[] {
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      field: shortened(path === "" ? key : `${path}.${key}`),
      problem: "unknown",
      expected: "no such field",
    }));
  }
  const value = valueAt(input, issue.path);
  return [
    {
      field: path === "" ? "(body)" : path,
      problem: value === undefined ? "missing" : "invalid",
      expected: `${issue.message}${path === "" ? "" : quoting(issue, value)}`,
    },
  ];
}

/**
 * Forms and loosely typed languages send numbers as texts, and texts of digits as numbers. The message names this
 * mistake.
 */
function quoting(issue: Issue, value: unknown): string {
  if (typeof value === "string" && /^\s*(?:[-+]?[0-9][0-9.,]*|true|false)\s*$/i.test(value) && wantsBareWord(issue))
    return ", not a text: write it without quotes";
  if (typeof value === "number" && issue.code === "invalid_type" && issue.expected === "string")
    return ", not a number: write it in quotes";
  return "";
}

/** Returns true if a number or a boolean was expected. */
function wantsBareWord(issue: Issue): boolean {
  if (issue.code === "invalid_type") return issue.expected === "number" || issue.expected === "boolean";
  if (issue.code === "invalid_value") return issue.values.every((value) => typeof value !== "string");
  return issue.code === "invalid_union" && issue.errors.flat().some(wantsBareWord);
}

/** A name that the caller made up is repeated, so that they find it, but only up to a limited length. */
function shortened(name: string): string {
  return name.length <= MAX_NAME_LENGTH ? name : `${name.slice(0, MAX_NAME_LENGTH).toWellFormed()}…`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    // SAFETY: any property of an object may be read; a missing one is undefined.
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function describe(problem: FieldProblem): string {
  if (problem.problem === "unknown") return `${problem.field} is not a known parameter`;
  if (problem.problem === "missing") return `${problem.field} is missing: expected ${problem.expected}`;
  return `${problem.field} is invalid: expected ${problem.expected}`;
}

/**
 * Parses a value from outside and reports every wrong field at once. Each schema's message is a noun phrase that
 * finishes the words "expected …"; the value itself is never repeated, because it may be a secret.
 *
 * @throws RoomcastError `MissingParameter`, `UnknownParameter` or `InvalidParameterValue`.
 */
export function validate<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const seen = new Set<string>();
  const fields = parsed.error.issues
    .flatMap((issue) => problemsOf(issue, input))
    .filter((problem) => !seen.has(problem.field) && seen.add(problem.field));
  const kinds = new Set(fields.map((field) => field.problem));
  const code =
    kinds.size > 1 || kinds.has("invalid")
      ? "InvalidParameterValue"
      : kinds.has("missing")
        ? "MissingParameter"
        : "UnknownParameter";
  const listed = fields.slice(0, MAX_PROBLEMS);
  const more = fields.length > listed.length ? `; and ${fields.length - listed.length} more` : "";
  throw new RoomcastError(code, `${listed.map(describe).join("; ")}${more}.`, { fields: listed });
}
