import { readOptions } from "../command-line/read-options.ts";
import { sampleClip } from "../stack/sample-media.ts";
import { type Stack, startStack } from "../stack/stack.ts";
import { CLIP, Demo, type DemoStep } from "./demo.ts";
import { DEMO_USAGE } from "./demo-usage.ts";
import { keepDemoOpen } from "./keep-demo-open.ts";
import { onInterrupt } from "./on-interrupt.ts";
import { Terminal } from "./terminal.ts";

/** @returns the exit code */
export async function runDemo(args: readonly string[]): Promise<number> {
  const { keep } = readOptions(DEMO_USAGE, args);
  const terminal = new Terminal(process.stdout);
  let stack: Stack | undefined;
  const interrupted = onInterrupt(async () => {
    terminal.say("Stopping …");
    await stack?.stop();
  });
  try {
    terminal.say("Starting Redis, a room emulator, the edge (wrangler dev) and a media worker …");
    const [started, clipPath] = await Promise.all([
      startStack().then((whole) => (stack = whole)),
      sampleClip({ durationS: CLIP.durationS }),
    ]);
    const demo = new Demo({ stack: started, terminal, clipPath });
    const verdict = await play(demo, terminal);
    if (keep) await keepDemoOpen({ stack: started, terminal, clipPath });
    return verdict;
  } catch (error) {
    // An interrupt stops the parts while the demo uses them, so errors after it are expected.
    if (!interrupted.begun) terminal.say(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await stack?.stop();
    interrupted.forget();
  }
}

async function play(demo: Demo, terminal: Terminal): Promise<number> {
  const steps: DemoStep[] = [await demo.pushOnce(), await demo.stopAndResume()];
  terminal.say();
  for (const { what, problems } of steps) {
    terminal.say(problems.length === 0 ? `✔ ${what}` : `✘ ${what}: ${problems.join("; ")}`);
  }
  const ok = steps.every(({ problems }) => problems.length === 0);
  terminal.say(ok ? "The room received everything." : "The room did not receive what it should have.");
  return ok ? 0 : 1;
}
