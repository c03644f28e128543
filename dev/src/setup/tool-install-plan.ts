/** The programs that do not come with the packages. ffmpeg stands for ffprobe as well: every package brings both. */
export type Tool = "ffmpeg" | "redis-server";

/** The machine's means for installing programs. */
export interface InstallMeans {
  readonly manager: "apt-get" | "brew" | "none";
  /** `root`: the user is root; `sudo`: sudo asks for no password; `none`: the user may not install. */
  readonly rights: "root" | "sudo" | "none";
  /** False if apt-get has no package lists yet, as in most container images. */
  readonly hasPackageLists: boolean;
}

export type ToolInstallPlan =
  | { readonly name: "nothing" }
  /** Commands to run one after another, each an argument list. */
  | { readonly name: "install"; readonly commands: readonly (readonly string[])[] }
  /** The message for a user on whose machine nothing may be installed. */
  | { readonly name: "ask"; readonly message: string };

const APT_PACKAGE: Record<Tool, string> = { ffmpeg: "ffmpeg", "redis-server": "redis-server" };
const BREW_PACKAGE: Record<Tool, string> = { ffmpeg: "ffmpeg", "redis-server": "redis" };

const TOOL_NEED: Record<Tool, string> = {
  ffmpeg: "ffmpeg and ffprobe 5.1 or newer (or FFMPEG_PATH and FFPROBE_PATH set to them)",
  "redis-server": "redis-server (or REDIS_SERVER_PATH set to it)",
};

/** Plans how missing tools are installed. Pure. */
export function planToolInstall(missing: readonly Tool[], means: InstallMeans): ToolInstallPlan {
  if (missing.length === 0) return { name: "nothing" };
  if (means.manager === "brew") {
    return {
      name: "install",
      commands: [["brew", "install", "--quiet", ...missing.map((tool) => BREW_PACKAGE[tool])]],
    };
  }
  const packages = missing.map((tool) => APT_PACKAGE[tool]);
  if (means.manager === "apt-get" && means.rights !== "none") {
    const install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...packages];
    const commands = means.hasPackageLists ? [install] : [["apt-get", "update", "-q"], install];
    return {
      name: "install",
      commands: commands.map((command) => (means.rights === "sudo" ? asRoot(command) : command)),
    };
  }
  const needs = missing.map((tool) => `  - ${TOOL_NEED[tool]}`).join("\n");
  const remedy =
    means.manager === "apt-get"
      ? `Run this, then the same command again:\n\n  sudo apt-get update && sudo apt-get install -y ${packages.join(" ")}\n`
      : "Install them with your system's package manager, then run the same command again.\n";
  return { name: "ask", message: `Missing on this machine:\n${needs}\n${remedy}` };
}

/** Package lists that are there may still be too old to install from: the same plan, after an update. Pure. */
export function withUpdate(commands: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const [first] = commands;
  if (first === undefined || !first.includes("apt-get") || first.includes("update")) return commands;
  const update = ["apt-get", "update", "-q"];
  return [first[0] === "sudo" ? asRoot(update) : update, ...commands];
}

/** sudo drops the environment, so what keeps apt-get from asking is set behind it. */
function asRoot(command: readonly string[]): readonly string[] {
  return ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", ...command];
}
