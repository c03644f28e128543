import { z } from "zod";

/**
 * Returns the request without the optional fields that were sent as `null` or `""`. Forms and clients in other
 * languages send all of their fields, and mean "not given". Required fields are left in place, so that the schema
 * refuses them. Pure.
 */
export function givenFields(schema: z.ZodType, input: unknown): unknown {
  const object = objectOf(schema);
  if (object === null || typeof input !== "object" || input === null || Array.isArray(input)) return input;
  return Object.fromEntries(
    Object.entries(input).flatMap(([name, value]): [string, unknown][] => {
      const field: unknown = Object.hasOwn(object.shape, name) ? object.shape[name] : undefined;
      if (!(field instanceof z.ZodType)) return [[name, value]];
      if ((value === null || value === "") && field.safeParse(undefined).success) return [];
      return [[name, givenFields(field, value)]];
    }),
  );
}

/** Returns the object schema inside the wrappers that make it optional or transform it; otherwise undefined. */
function objectOf(schema: unknown): z.ZodObject | null {
  if (schema instanceof z.ZodObject) return schema;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return objectOf(schema.unwrap());
  return schema instanceof z.ZodPipe ? objectOf(schema.in) : null;
}
