import { NestFactory } from '@nestjs/core';
import { randomUUID } from 'node:crypto';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal } from 'nestjs-task-queue';
import type { AuditView } from '../audits/audit-view.js';
import { AppConfig } from '../config.js';
import { PackageInventory } from '../licences/package-inventory.js';
import { provideRedis } from '../redis.js';
import { AuditClient } from './audit-client.js';
import type { CleanUp } from './clean-up.js';
import { DemoModule } from './demo.module.js';
import { FileLogger } from './file-logger.js';
import type { DemoOptions } from './options.js';
import { Progress } from './progress.js';
import { RunCounter } from './run-counter.js';
import type { DemoRun } from './summary.js';
import { WorkerProcesses } from './worker-processes.js';

const WORKERS = 2;
/** A worker is killed once this share of the packages has been audited. */
const KILL_AT = 0.2;
const LOOK_EVERY_MS = 50;
/** Long enough for a lost worker's tasks to be taken up again on a slow machine. */
const STANDSTILL_MS = 60_000;

/**
 * Runs the demo from its first to its last process.
 *
 * Without `killWorkers` one process answers the API and does the work. With it, the API's process only
 * publishes, and the work is done by processes of their own.
 */
export async function runDemo(
  { killWorkers, limit }: DemoOptions,
  cleanUp: CleanUp,
  stop: AbortController,
): Promise<DemoRun> {
  const redis = await provideRedis();
  cleanUp.defer('Redis', () => redis.stop());
  stop.signal.throwIfAborted();
  Object.assign(process.env, environment(redis.url, killWorkers));
  const config = new AppConfig(process.env);
  mkdirSync(config.reportsDir, { recursive: true });
  const logFile = join(config.reportsDir, 'demo.log');
  const log = openSync(logFile, 'w');
  const counter = new RunCounter(config);
  cleanUp.defer('the counter', () => counter.close());
  cleanUp.defer('what is stored in Redis', () => counter.removeEverything());

  const progress = new Progress(process.stdout);
  progress.say(
    `Redis: ${new URL(redis.url).host} (${redis.source === 'REDIS_URL' ? 'REDIS_URL' : 'a private one'}).`,
  );
  const workers = new WorkerProcesses({
    env: { ...process.env, ROLE: 'worker', NO_COLOR: '1' },
    log,
    onLost: (error) => stop.abort(error),
  });
  cleanUp.defer('the workers', () => workers.stop());
  if (killWorkers) {
    for (const worker of await Promise.all(Array.from({ length: WORKERS }, () => workers.start()))) {
      progress.say(`Worker ${worker.number} works in process ${worker.pid}.`);
    }
  }
  const app = await NestFactory.create(DemoModule, {
    logger: new FileLogger(log),
    forceCloseConnections: true,
    abortOnError: false,
  });
  cleanUp.defer('the application', () => app.close());
  await app.listen(0, '127.0.0.1');
  stop.signal.throwIfAborted();

  const { packages, broken } = await app.get(PackageInventory).list(config.auditRoot);
  const installed = packages.length + broken.length;
  const client = new AuditClient(await app.getUrl(), stop.signal);
  progress.say(`${installed} packages are installed in ${config.auditRoot}.`);
  const startedAt = performance.now();
  const audit = await client.start({ title: 'Licences of this project', ...(limit && { limit }) });
  progress.say(`POST ${await app.getUrl()}/audits: audit ${audit.id}, a chord of ${audit.members} members.`);

  let killed = 0;
  const view = await follow({
    look: () => client.show(audit),
    signal: stop.signal,
    onLook: async (seen) => {
      progress.show(seen);
      if (!killWorkers || killed > 0 || isTerminal(seen.state) || (seen.progress ?? 0) < KILL_AT) return;
      const victim = await workers.killOne();
      killed++;
      progress.say(`Worker ${victim.number} was killed in mid-run (SIGKILL to process ${victim.pid}).`);
      const { number, pid } = await workers.start();
      progress.say(`Worker ${number} takes its place, in process ${pid}.`);
      progress.say(
        `What the dead one had begun starts again when its locks run out: ${config.lockDuration}.`,
      );
    },
  });
  const seconds = (performance.now() - startedAt) / 1000;
  progress.end();
  const document = view.state === 'SUCCESS' ? await client.report(audit) : undefined;
  // Counted when nobody works any more: nothing can be added after that.
  await workers.stop();
  await app.close();
  return {
    view,
    runs: await counter.read(audit.id),
    packages: Math.min(installed, limit ?? installed),
    document,
    seconds,
    killed: killWorkers ? killed : undefined,
    reportsDir: config.reportsDir,
    logFile,
  };
}

function environment(redisUrl: string, killWorkers: boolean): Record<string, string> {
  return {
    REDIS_URL: redisUrl,
    QUEUE_PREFIX: `licence-audit-demo-${randomUUID()}`,
    ROLE: killWorkers ? 'producer' : 'both',
    // A dead worker's tasks wait for this long; with the defaults that would be half a minute.
    ...(killWorkers && { LOCK_DURATION: '5s', STALLED_INTERVAL: '1s', MAX_TIMES_LOST: '5' }),
  };
}

/** Looks at the audit until it has ended. @throws Error when it stands still */
async function follow({
  look,
  onLook,
  signal,
}: {
  look: () => Promise<AuditView>;
  onLook: (view: AuditView) => Promise<void>;
  signal: AbortSignal;
}): Promise<AuditView> {
  let lastProgress = -1;
  let movedAt = performance.now();
  for (;;) {
    const view = await look();
    await onLook(view);
    if (isTerminal(view.state)) return view;
    const { progress = 0 } = view;
    if (progress !== lastProgress) {
      lastProgress = progress;
      movedAt = performance.now();
    }
    if (performance.now() - movedAt > STANDSTILL_MS) {
      throw new Error(`nothing has moved for ${STANDSTILL_MS / 1000} s, at ${JSON.stringify(view.counts)}`);
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}
