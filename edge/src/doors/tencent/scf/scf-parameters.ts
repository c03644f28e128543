import { z } from "zod";

/** The version of the only function. */
export const LATEST = "$LATEST";

const NAME_EXPECTED = "a name of 1 to 128 characters";
const name = z.string(NAME_EXPECTED).min(1, NAME_EXPECTED).max(128, NAME_EXPECTED);

/** The parameters that name the function. There is only one function, so any name is accepted. */
export const functionNames = { FunctionName: name, Namespace: name.optional(), Qualifier: name.optional() };

/** The parameters that name the function, for actions that work without its name. */
export const optionalFunctionNames = { ...functionNames, FunctionName: name.optional() };

const ID_EXPECTED = "the id of an asynchronous request";
export const requestIdText = z.string(ID_EXPECTED).min(1, ID_EXPECTED).max(128, ID_EXPECTED);

export function boundedInteger(min: number, max: number) {
  const expected = `an integer from ${min} to ${max}`;
  return z.int(expected).min(min, expected).max(max, expected);
}
