/** Values of a request that are shown as the shell variable that holds them. */
const VARIABLES: Readonly<Record<string, string>> = { UserSig: "USER_SIG", RedisPassword: "REDIS_PASSWORD" };

/** The curl call that does what the demo does, with its secrets as shell variables. Pure. */
export function shownCurl(url: string, request: Readonly<Record<string, unknown>>): string {
  const fields = Object.entries(request).map(([name, value]) => {
    const variable = VARIABLES[name];
    // Out of the single quotes, into double ones for the variable, and back.
    return `    "${name}": ${variable === undefined ? JSON.stringify(value) : `"'"$${variable}"'"`}`;
  });
  return [
    `curl -i ${url}/ \\`,
    `  -H "Authorization: Bearer $SECRET_ID.$SECRET_KEY" \\`,
    `  -H "Content-Type: application/json" \\`,
    `  -d '{\n${fields.join(",\n")}\n  }'`,
  ].join("\n");
}
