import 'reflect-metadata';
import { CleanUp } from './clean-up.js';
import { readOptions, USAGE } from './options.js';
import { runDemo } from './run-demo.js';
import { problemsOf, summaryOf } from './summary.js';

/** Exit codes: 0 all is well, 1 something is wrong, 2 wrong usage, 130 interrupted. */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const cleanUp = new CleanUp();
  const stop = stopOnSignal();
  try {
    const run = await runDemo(options, cleanUp, stop);
    process.stdout.write(summaryOf(run));
    const problems = problemsOf(run);
    for (const problem of problems) process.stderr.write(`demo: ${problem}\n`);
    return problems.length === 0 ? 0 : 1;
  } catch (error) {
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
    process.stderr.write(`\ndemo: ${reason instanceof Error ? reason.message : String(reason)}\n`);
    return reason instanceof Interrupted ? 130 : 1;
  } finally {
    for (const problem of await cleanUp.run()) process.stderr.write(`demo: ${problem}\n`);
  }
}

class Interrupted extends Error {}

/** The first signal ends the demo in order, a second one at once: what it started ends with it in any case. */
function stopOnSignal(): AbortController {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort(new Interrupted(`stopped by ${signal}`));
    });
  }
  return stop;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  return 2;
});
// Whatever may still hold the process (a connection that waits to reconnect) has nothing left to do.
process.exit();
