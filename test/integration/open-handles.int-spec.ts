/** What an application that was closed leaves open in its process: nothing, so that the process ends by itself. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { redisUrl, uniquePrefix, useApps } from '../support/app-fixture.js';
import { buildWorkers } from '../support/worker-process.js';

const WITHIN_MS = 45_000;
const fixture = useApps();

interface Told {
  readonly before: string[];
  readonly after: string[];
}

/** Runs the application to its end; the process has to end by itself. */
async function run(role: string, during: string): Promise<Told> {
  const prefix = uniquePrefix('handles');
  fixture.adopt(prefix);
  const child = fork(join(buildWorkers(), 'closing-app.js'), {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      WORKER_OPTIONS: JSON.stringify({ url: redisUrl(), prefix, role, during }),
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text: Buffer) => (output += text.toString()));
  let told: Told | undefined;
  child.once('message', (message) => (told = message as Told));
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const late = delay(WITHIN_MS, 'it does not end by itself' as const, { ref: false });
  const code = await Promise.race([ended, late]);
  if (code === 'it does not end by itself') child.kill('SIGKILL');
  if (code !== 0 || told === undefined)
    throw new Error(`${code}; it told ${JSON.stringify(told)}\n${output}`);
  return told;
}

describe('an application that was closed', () => {
  it.each([
    ['producer', 'nothing'],
    ['producer', 'work'],
    ['producer', 'waits'],
    ['worker', 'nothing'],
    ['worker', 'tasks'],
    ['both', 'work'],
    ['both', 'waits'],
    ['both', 'tasks'],
    ['both', 'twice'],
  ])('as %s, during "%s", leaves nothing open: its process ends by itself', async (role, during) => {
    const { before, after } = await run(role, during);
    expect(after.filter((resource) => /TCP|Socket|Timeout/.test(resource))).toEqual(
      before.filter((resource) => /TCP|Socket|Timeout/.test(resource)),
    );
    expect(after.length).toBeLessThanOrEqual(before.length);
  });
});
