import { parseJson, readText } from "../../../http/read-json.ts";
import { nested } from "./query-parameters.ts";

/** A call of Tencent Cloud API 3.0 before any check. */
export interface TencentCall {
  readonly method: "GET" | "POST";
  readonly headers: Headers;
  /** The raw query after the `?`. */
  readonly query: string;
  readonly body: string;
  readonly action: string;
  readonly version: string | undefined;
  readonly region: string | undefined;
  readonly timestamp: string | undefined;
  readonly token: string | undefined;
}

/** The parameters that a header `X-TC-…` or the query of a GET may carry. */
const COMMON = ["Action", "Version", "Region", "Timestamp", "Token", "Language", "RequestClient"] as const;

/** Returns true if a request is meant for this API and not for the plain one. */
export function isTencentCall(request: Request): boolean {
  return request.headers.has("X-TC-Action") || (request.method === "GET" && queryOf(request).has("Action"));
}

/** @throws RoomcastError `RequestSizeLimitExceeded`; `InvalidParameter` when the body is not UTF-8. */
export async function readTencentCall(request: Request): Promise<TencentCall> {
  const isGet = request.method === "GET";
  const query = isGet ? queryOf(request) : new URLSearchParams();
  const common = (name: (typeof COMMON)[number]) => request.headers.get(`X-TC-${name}`) ?? query.get(name) ?? undefined;
  return {
    method: isGet ? "GET" : "POST",
    headers: request.headers,
    query: rawQueryOf(request),
    body: isGet ? "" : await readText(request),
    action: common("Action") ?? "",
    version: common("Version"),
    region: common("Region"),
    timestamp: common("Timestamp"),
    // SDKs that have no token send an empty string.
    token: common("Token") || undefined,
  };
}

/** The parameters of a call. The values in `texts`, which come from a GET, are all strings. */
export type CallParameters = { readonly kind: "json" | "texts"; readonly value: unknown };

/** @throws RoomcastError `InvalidParameter` when the parameters cannot be read. */
export function parametersOf(call: TencentCall): CallParameters {
  if (call.method === "POST")
    return { kind: "json", value: call.body === "" ? {} : parseJson(call.body, call.headers) };
  const pairs = [...new URLSearchParams(call.query)].filter(([name]) => !COMMON.some((common) => common === name));
  return { kind: "texts", value: nested(pairs) };
}

function queryOf(request: Request): URLSearchParams {
  return new URLSearchParams(rawQueryOf(request));
}

function rawQueryOf({ url }: Request): string {
  const at = url.indexOf("?");
  return at === -1 ? "" : url.slice(at + 1);
}
