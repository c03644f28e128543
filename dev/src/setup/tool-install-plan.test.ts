import { describe, expect, it } from "vitest";
import { type InstallMeans, planToolInstall, type Tool, withUpdate } from "./tool-install-plan.ts";

const apt = (changes: Partial<InstallMeans> = {}): InstallMeans => ({
  manager: "apt-get",
  rights: "root",
  hasPackageLists: true,
  ...changes,
});

const sudo = "sudo -n env DEBIAN_FRONTEND=noninteractive";

describe("planToolInstall", () => {
  describe("where installing is allowed", () => {
    it.each<{ why: string; missing: Tool[]; means: InstallMeans; commands: string[] }>([
      {
        why: "at once as root with package lists",
        missing: ["ffmpeg", "redis-server"],
        means: apt(),
        commands: ["apt-get install -y -q --no-install-recommends ffmpeg redis-server"],
      },
      {
        why: "only the missing programs",
        missing: ["redis-server"],
        means: apt(),
        commands: ["apt-get install -y -q --no-install-recommends redis-server"],
      },
      {
        why: "after an update if lists are missing",
        missing: ["ffmpeg"],
        means: apt({ hasPackageLists: false }),
        commands: ["apt-get update -q", "apt-get install -y -q --no-install-recommends ffmpeg"],
      },
      {
        why: "by sudo without a prompt",
        missing: ["ffmpeg"],
        means: apt({ rights: "sudo", hasPackageLists: false }),
        commands: [`${sudo} apt-get update -q`, `${sudo} apt-get install -y -q --no-install-recommends ffmpeg`],
      },
      {
        why: "by brew, which has another Redis name",
        missing: ["ffmpeg", "redis-server"],
        means: { manager: "brew", rights: "none", hasPackageLists: true },
        commands: ["brew install --quiet ffmpeg redis"],
      },
    ])("installs $why", ({ missing, means, commands }) => {
      const plan = planToolInstall(missing, means);
      expect(plan).toEqual({ name: "install", commands: commands.map((command) => command.split(" ")) });
    });

    it("plans nothing when nothing is missing", () => {
      expect(planToolInstall([], apt())).toEqual({ name: "nothing" });
    });
  });

  describe("where installing is not allowed", () => {
    it("names the apt-get command for a user without root and sudo", () => {
      const plan = planToolInstall(["ffmpeg", "redis-server"], apt({ rights: "none" }));
      expect(plan).toEqual({
        name: "ask",
        message: expect.stringContaining("sudo apt-get update && sudo apt-get install -y ffmpeg redis-server"),
      });
    });

    it("names the programs, versions and variables without a known package manager", () => {
      const plan = planToolInstall(["ffmpeg"], { manager: "none", rights: "root", hasPackageLists: false });
      expect(plan).toEqual({ name: "ask", message: expect.stringMatching(/ffprobe 5\.1.*FFMPEG_PATH/s) });
    });
  });

  describe("with an update for a second try", () => {
    it.each([
      { commands: "apt-get install x", updated: ["apt-get update -q", "apt-get install x"] },
      { commands: `${sudo} apt-get install x`, updated: [`${sudo} apt-get update -q`, `${sudo} apt-get install x`] },
      { commands: "brew install x", updated: ["brew install x"] },
    ])("updates the package lists where needed before: $commands", ({ commands, updated }) => {
      expect(withUpdate([commands.split(" ")])).toEqual(updated.map((command) => command.split(" ")));
    });

    it("does not add an update that is planned already", () => {
      const commands = [
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "x"],
      ];
      expect(withUpdate(commands)).toEqual(commands);
    });
  });
});
