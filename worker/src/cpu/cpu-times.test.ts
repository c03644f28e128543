import { describe, expect, it } from "vitest";
import {
  busyShare,
  type CpuTimes,
  parseAllowedCores,
  parseGroupPath,
  parseGroupUsage,
  parseProcStat,
} from "./cpu-times.ts";

const STAT = `cpu  30 3 30 300 30 3 3 3 9 0
cpu0 10 1 10 100 10 1 1 1 3 0
cpu1 20 2 20 200 20 2 2 2 6 0
cpu10 900 0 0 0 0 0 0 0 0 0
intr 12345 0 1
`;

describe("CpuTimes", () => {
  it.each<[string, string, Set<number> | null, CpuTimes["machine"]]>([
    ["all cores", STAT, null, { busy: 24 + 48 + 900, total: 134 + 268 + 900 }],
    ["the cores that are allowed", STAT, new Set([0, 1]), { busy: 72, total: 402 }],
    ["a kernel that counts no stolen time", "cpu0 1 2 3 4\n", null, { busy: 6, total: 10 }],
    ["a file that counts nothing", "cpu  0 0 0 0\ncpu0 0 0 0 0\n", null, null],
    ["a file of something else", "cpu0 a b c d\n", null, null],
    ["no file", "", null, null],
  ])("adds up /proc/stat without counting guests twice: %s", (_what, text, allowed, times) => {
    expect(parseProcStat(text, allowed)).toEqual(times);
  });

  it("reads the cores that a process may use from its status", () => {
    expect(parseAllowedCores("Name:\tnode\nCpus_allowed:\t10f\nCpus_allowed_list:\t0-3,8\nMems:\t0\n")).toEqual(
      new Set([0, 1, 2, 3, 8]),
    );
    expect(parseAllowedCores("Name:\tnode\n")).toBeNull();
  });

  it("finds a control group of version 2 and its usage", () => {
    expect(parseGroupPath("1:cpu:/old\n0::/system.slice/roomcast.service\n")).toBe("/system.slice/roomcast.service");
    expect(parseGroupPath("1:cpu:/old\n")).toBeNull();
    expect(parseGroupUsage("usage_usec 1234567\nuser_usec 1000000\n")).toBe(1234.567);
    expect(parseGroupUsage("")).toBeNull();
  });

  const at = (atMs: number, machine: [busy: number, total: number] | null, groupMs: number | null): CpuTimes => ({
    atMs,
    machine: machine === null ? null : { busy: machine[0], total: machine[1] },
    groupMs,
  });

  it.each<[string, CpuTimes, CpuTimes, number | null]>([
    ["of the machine, whoever uses it", at(0, [0, 0], null), at(1000, [150, 200], null), 0.75],
    ["of the group's own cores, where those are less idle", at(0, [0, 0], 0), at(1000, [20, 200], 1900), 0.95],
    ["of the machine, where neighbours leave less", at(0, [0, 0], 0), at(1000, [180, 200], 200), 0.9],
    ["of the group alone, where nothing else is known", at(0, null, 500), at(1000, null, 1500), 0.5],
    ["never more than all", at(0, [0, 0], 0), at(1000, [100, 200], 2500), 1],
    ["never less than nothing, though counters go back", at(0, [10, 100], null), at(1000, [9, 300], null), 0],
    ["not known when nothing was counted", at(0, null, null), at(1000, null, null), null],
    ["not known when no time has passed", at(5, [3, 9], 7), at(5, [3, 9], 7), null],
    ["not known when the first reading failed", at(0, null, null), at(1000, [150, 200], 100), null],
  ])("returns a busy share of two cores %s", (_what, before, after, share) => {
    expect(busyShare(before, after, 2)).toBe(share);
  });
});
