/** What the edge's worker has in wrangler.toml, for workerd's own configuration. */
export interface WorkerdConfig {
  readonly compatibilityDate: string;
  /** Bindings of Durable Objects: name → class. */
  readonly objects: Readonly<Record<string, string>>;
  /** Variables and secrets that workerd takes from its environment, by name. */
  readonly variables: readonly string[];
  /** Where the Durable Objects keep their databases. */
  readonly stateFolder: string;
}

/** Names of the bundles beside the configuration file. */
export const EDGE_BUNDLE = "edge.js";
export const YARDSTICK_BUNDLE = "yardstick.js";

/** Names of workerd's sockets. */
export const EDGE_SOCKET = "edge";
export const YARDSTICK_SOCKET = "yardstick";

/** workerd's configuration in Cap'n Proto text: edge and yardstick in one process, each on a port of its own. Pure. */
export function workerdConfig({ compatibilityDate, objects, variables, stateFolder }: WorkerdConfig): string {
  const date = text(compatibilityDate);
  const bindings = [
    ...Object.entries(objects).map(([name, className]) => record({ name, durableObjectNamespace: className })),
    ...variables.map((name) => record({ name, fromEnvironment: name })),
  ];
  const namespaces = Object.values(objects).map(
    (className) => `(className = ${text(className)}, uniqueKey = ${text(className)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "yardstick", worker = .yardstick),
    (name = "state", disk = (path = ${text(stateFolder)}, writable = true)),
  ],
  sockets = [
    (name = ${text(EDGE_SOCKET)}, address = "127.0.0.1:0", http = (), service = "edge"),
    (name = ${text(YARDSTICK_SOCKET)}, address = "127.0.0.1:0", http = (), service = "yardstick"),
  ],
);
const edge :Workerd.Worker = (
  modules = [(name = "edge.js", esModule = embed ${text(EDGE_BUNDLE)})],
  compatibilityDate = ${date},
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "state"),
);
const yardstick :Workerd.Worker = (
  modules = [(name = "yardstick.js", esModule = embed ${text(YARDSTICK_BUNDLE)})],
  compatibilityDate = ${date},
  bindings = [(name = "BARE", durableObjectNamespace = "Bare")],
  durableObjectNamespaces = [(className = "Bare", uniqueKey = "Bare", enableSql = true)],
  durableObjectStorage = (localDisk = "state"),
);
`;
}

function record(fields: Readonly<Record<string, string>>): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name} = ${text(value)}`);
  return `(${parts.join(", ")})`;
}

/** Cap'n Proto's text literals take JSON's escapes. */
function text(value: string): string {
  return JSON.stringify(value);
}
