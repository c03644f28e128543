import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { CpuMeter } from "./cpu-meter.ts";
import type { CpuTimes } from "./cpu-times.ts";

/** Returns these readings one after another. */
function readings(...values: CpuTimes[]): () => Promise<CpuTimes> {
  return async () => values.shift() ?? { atMs: 0, machine: null, groupMs: null };
}

const at = (atMs: number, busy: number): CpuTimes => ({ atMs, machine: { busy, total: atMs }, groupMs: null });

async function loadsOf(meter: CpuMeter, samples: number): Promise<(number | null)[]> {
  const loads = [];
  for (let n = 0; n < samples; n += 1) {
    await meter.sample();
    loads.push(meter.load);
  }
  return loads;
}

describe("CpuMeter", () => {
  it("smooths a change over some seconds, so that one busy second does not count as a full machine", async () => {
    const meter = new CpuMeter({ read: readings(at(0, 0), at(1000, 200), at(2000, 1200), at(7000, 6200)) });
    expect(await loadsOf(meter, 4)).toEqual([null, 0.2, 0.345, 0.759]);
  });

  it("reports an unknown load while it cannot be measured, and a load again once it can", async () => {
    const meter = new CpuMeter({
      read: readings(
        at(0, 0),
        at(1000, 200),
        { atMs: 2000, machine: null, groupMs: null },
        at(3000, 0),
        at(4000, 1000),
      ),
    });
    expect(await loadsOf(meter, 5)).toEqual([null, 0.2, null, null, 1]);
  });

  it("includes the CPU time of a child process", async () => {
    const meter = new CpuMeter();
    const startedMs = performance.now();
    await meter.sample();
    // The child reports its own CPU time, so that other load on the machine does not matter.
    const burn =
      "while (process.cpuUsage().user < 500_000); process.stdout.write(String(process.cpuUsage().user / 1000))";
    const { stdout } = await promisify(execFile)(process.execPath, ["-e", burn]);
    const ofChild = Number(stdout) / ((performance.now() - startedMs) * availableParallelism());
    await meter.sample();
    expect(ofChild).toBeGreaterThan(0);
    expect(meter.load).toBeGreaterThan(ofChild * 0.8);
  });

  it("measures from start until stop, and both can be called twice", async () => {
    let reads = 0;
    const read = Promise.withResolvers<void>();
    const meter = new CpuMeter({
      read: async () => {
        reads += 1;
        read.resolve();
        return at(reads, 0);
      },
    });
    meter.start();
    meter.start();
    await read.promise;
    await meter.stop();
    await meter.stop();
    expect(reads).toBe(1);
  });
});
