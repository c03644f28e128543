/** The edge's settings of wrangler.toml, for workerd's own configuration. */
export interface WorkerdConfig {
  readonly compatibilityDate: string;
  /** Bindings of Durable Objects: name → class. */
  readonly objects: Readonly<Record<string, string>>;
  /** The same of a second worker in the process, if there is one. */
  readonly companionObjects: Readonly<Record<string, string>> | null;
  /** Variables and secrets that workerd takes from its environment, by name. */
  readonly variables: readonly string[];
  /** The place of the Durable Objects' databases. */
  readonly stateFolder: string;
  /** True if private networks may be reached too. By workerd's default only public addresses are reachable. */
  readonly reachesPrivate: boolean;
}

/** Workers in the process; a worker's name is its socket's, too. */
export const EDGE = "edge";
export const COMPANION = "companion";

/** The network service of the workers' calls, instead of workerd's own service of this name. */
const ALL_NETWORKS =
  '(name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true)))';

/** The name of a worker's bundle, beside the configuration file. */
export function bundleOf(worker: string): string {
  return `${worker}.js`;
}

/** workerd's configuration in Cap'n Proto text: one process, with a port for each worker. Pure. */
export function workerdConfig(config: WorkerdConfig): string {
  const { companionObjects } = config;
  const workers = [workerText(EDGE, config)];
  if (companionObjects !== null) {
    workers.push(workerText(COMPANION, { ...config, objects: companionObjects, variables: [] }));
  }
  const names = companionObjects === null ? [EDGE] : [EDGE, COMPANION];
  const services = names.map((name) => `(name = ${text(name)}, worker = .${name})`);
  services.push(`(name = "state", disk = (path = ${text(config.stateFolder)}, writable = true))`);
  if (config.reachesPrivate) services.push(ALL_NETWORKS);
  const sockets = names.map(
    (name) => `(name = ${text(name)}, address = "127.0.0.1:0", http = (), service = ${text(name)})`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services.join(", ")}],
  sockets = [${sockets.join(", ")}],
);
${workers.join("")}`;
}

function workerText(name: string, { compatibilityDate, objects, variables }: WorkerdConfig): string {
  const bindings = [
    ...Object.entries(objects).map(([binding, className]) =>
      record({ name: binding, durableObjectNamespace: className }),
    ),
    ...variables.map((variable) => record({ name: variable, fromEnvironment: variable })),
  ];
  const namespaces = Object.values(objects).map(
    (className) => `(className = ${text(className)}, uniqueKey = ${text(className)}, enableSql = true)`,
  );
  return `const ${name} :Workerd.Worker = (
  modules = [(name = ${text(bundleOf(name))}, esModule = embed ${text(bundleOf(name))})],
  compatibilityDate = ${text(compatibilityDate)},
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
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
