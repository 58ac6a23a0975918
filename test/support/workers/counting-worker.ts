/** A worker application in a process of its own. Its options stand in WORKER_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { COUNTS, type Counts, CountingTasks } from './counting-tasks.js';

interface WorkerOptions {
  readonly url: string;
  readonly prefix: string;
  readonly options: TaskQueueModuleOptions;
  /** Kills itself before the command of this number that changes something, from the first that has to do with late members. */
  readonly dieAt?: number;
}

const { url, prefix, options, dieAt } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as WorkerOptions;

function counts(): Counts {
  const redis = new Redis(url);
  redis.on('error', () => undefined);
  return { redis, prefix };
}

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url, connectionName: prefix },
      prefix,
      role: 'worker',
      ...options,
    }),
  ],
  providers: [{ provide: COUNTS, useFactory: counts }, CountingTasks],
})
class CountingWorkerModule {}

const app = await NestFactory.createApplicationContext(CountingWorkerModule, {
  logger: ['warn', 'error', 'fatal'],
});
// The clock of its machine jumps when it is told so.
process.on('message', ({ jumpMs }: { readonly jumpMs: number }) => {
  const now = Date.now.bind(Date);
  Date.now = () => now() + jumpMs;
});
const abandoned = (): never => process.exit(1);
// A parent that is gone wants nothing any more.
process.once('disconnect', abandoned);
process.once('SIGTERM', () => {
  process.off('disconnect', abandoned);
  // Nothing ends the process but that nothing is left to do.
  void app.close().then(() => {
    app.get<Counts>(COUNTS).redis.disconnect();
    if (dieAt !== undefined) process.stdout.write(`commands ${sent.length}\n`);
    process.disconnect();
  });
});

/** Commands that change nothing, or are a part of a transaction that is carried out with its EXEC. */
const ASIDE =
  /^(h?get|hm?get|hscan|sscan|smembers|exists|zrangebyscore|zscore|bzpopmin|watch|unwatch|multi|info|ping|client|publish|subscribe)$/;
const sent: string[] = [];
if (dieAt !== undefined) {
  type Send = (this: Redis, ...args: Parameters<Redis['sendCommand']>) => unknown;
  const send = Reflect.get(Redis.prototype, 'sendCommand') as Send;
  const counting: Send = function (...args) {
    const [{ name, args: about }] = args;
    const isLate = about.some((arg) => typeof arg === 'string' && /\.late(?:$|["':])/.test(arg));
    const isLife = about.some((arg) => typeof arg === 'string' && arg.includes(':_workers'));
    const isOurs = this.options.connectionName !== undefined && !isLife && !ASIDE.test(name);
    if (isOurs && (sent.length > 0 || isLate)) {
      sent.push(name);
      if (sent.length === dieAt) process.kill(process.pid, 'SIGKILL');
    }
    return send.apply(this, args);
  };
  Reflect.set(Redis.prototype, 'sendCommand', counting);
}
process.send?.('ready');
