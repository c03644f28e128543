import { describe, expect, test } from "vitest";
import { type InstallMeans, planToolInstall, type Tool, withUpdate } from "./tool-install-plan.ts";

const apt = (changes: Partial<InstallMeans> = {}): InstallMeans => ({
  manager: "apt-get",
  rights: "root",
  hasPackageLists: true,
  ...changes,
});

const sudo = "sudo -n env DEBIAN_FRONTEND=noninteractive";

describe("what is missing is installed where that is allowed", () => {
  test.each<{ why: string; missing: Tool[]; means: InstallMeans; commands: string[] }>([
    {
      why: "root with package lists installs at once",
      missing: ["ffmpeg", "redis-server"],
      means: apt(),
      commands: ["apt-get install -y -q --no-install-recommends ffmpeg redis-server"],
    },
    {
      why: "only what is missing is installed",
      missing: ["redis-server"],
      means: apt(),
      commands: ["apt-get install -y -q --no-install-recommends redis-server"],
    },
    {
      why: "without package lists apt-get is updated first",
      missing: ["ffmpeg"],
      means: apt({ hasPackageLists: false }),
      commands: ["apt-get update -q", "apt-get install -y -q --no-install-recommends ffmpeg"],
    },
    {
      why: "sudo is used without a prompt",
      missing: ["ffmpeg"],
      means: apt({ rights: "sudo", hasPackageLists: false }),
      commands: [`${sudo} apt-get update -q`, `${sudo} apt-get install -y -q --no-install-recommends ffmpeg`],
    },
    {
      why: "brew needs no rights and calls Redis by another name",
      missing: ["ffmpeg", "redis-server"],
      means: { manager: "brew", rights: "none", hasPackageLists: true },
      commands: ["brew install --quiet ffmpeg redis"],
    },
  ])("$why", ({ missing, means, commands }) => {
    const plan = planToolInstall(missing, means);
    expect(plan).toEqual({ name: "install", commands: commands.map((command) => command.split(" ")) });
  });

  test("nothing missing means nothing to do", () => {
    expect(planToolInstall([], apt())).toEqual({ name: "nothing" });
  });
});

describe("where it is not allowed, the user is told exactly what to run", () => {
  test("without root and sudo the apt-get command is spelled out", () => {
    const plan = planToolInstall(["ffmpeg", "redis-server"], apt({ rights: "none" }));
    expect(plan).toEqual({
      name: "ask",
      message: expect.stringContaining("sudo apt-get update && sudo apt-get install -y ffmpeg redis-server"),
    });
  });

  test("without a known package manager the programs, versions and variables are named", () => {
    const plan = planToolInstall(["ffmpeg"], { manager: "none", rights: "root", hasPackageLists: false });
    expect(plan).toEqual({ name: "ask", message: expect.stringMatching(/ffprobe 5\.1.*FFMPEG_PATH/s) });
  });
});

describe("old package lists are brought up to date for a second try", () => {
  test.each([
    { commands: "apt-get install x", updated: ["apt-get update -q", "apt-get install x"] },
    { commands: `${sudo} apt-get install x`, updated: [`${sudo} apt-get update -q`, `${sudo} apt-get install x`] },
    { commands: "brew install x", updated: ["brew install x"] },
  ])("$commands", ({ commands, updated }) => {
    expect(withUpdate([commands.split(" ")])).toEqual(updated.map((command) => command.split(" ")));
  });

  test("an update that is planned already is not planned twice", () => {
    const commands = [
      ["apt-get", "update", "-q"],
      ["apt-get", "install", "x"],
    ];
    expect(withUpdate(commands)).toEqual(commands);
  });
});
