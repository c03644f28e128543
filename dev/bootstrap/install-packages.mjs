import { spawn } from "node:child_process";

const LINE_INTERVAL_MS = 15_000;
/** After this long people want to see what npm is doing. */
const PATIENCE_MS = 90_000;

/**
 * `npm ci`: quiet while it goes well. What npm said is shown when it fails or takes long.
 *
 * @param {string} root the repository
 * @returns {Promise<boolean>} whether it went well
 */
export async function installPackages(root) {
  const startedAtMs = Date.now();
  /** @type {Buffer[]} */
  const output = [];
  let shown = false;
  const seconds = () => Math.round((Date.now() - startedAtMs) / 1000);
  const tty = process.stderr.isTTY === true;
  process.stderr.write("Installing the packages (npm ci); a first time takes up to a few minutes.\n");

  const [command, ...args] = npmCommand();
  // The engine warning would only say what the start is about: this Node is older than the one being installed.
  const child = spawn(command, [...args, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  /** @param {Buffer} chunk */
  const keep = (chunk) => {
    if (shown) process.stderr.write(chunk);
    else output.push(chunk);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const show = () => {
    if (!shown && output.length > 0) process.stderr.write(`${tty ? "\n" : ""}${Buffer.concat(output).toString()}`);
    shown = true;
  };
  const ticker = setInterval(
    () => {
      if (Date.now() - startedAtMs > PATIENCE_MS) show();
      process.stderr.write(tty && !shown ? `\r  ${seconds()} s ` : `  still installing, ${seconds()} s\n`);
    },
    tty ? 1000 : LINE_INTERVAL_MS,
  );

  const code = await new Promise((resolve) => {
    child.once("error", (error) => {
      output.push(Buffer.from(`${error.message}\n`));
      resolve(1);
    });
    child.once("close", resolve);
  });
  clearInterval(ticker);
  if (tty) process.stderr.write("\r");
  if (code === 0) {
    process.stderr.write(`Packages are installed (${seconds()} s).\n`);
    return true;
  }
  show();
  process.stderr.write("Installing the packages failed: see npm's words above, then run the same command again.\n");
  return false;
}

/**
 * The npm that runs this script, where one does; else the one on PATH.
 *
 * @returns {[string, ...string[]]}
 */
function npmCommand() {
  const script = process.env["npm_execpath"];
  return script?.endsWith("npm-cli.js") === true ? [process.execPath, script] : ["npm"];
}
