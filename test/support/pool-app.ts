/** Applications whose handlers run in real processes. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PoolOptions, ProcessPoolOptions, TaskQueueModuleOptions } from 'nestjs-task-queue';
import { TaskQueueModule } from 'nestjs-task-queue';
import { redisPlatform } from '../../libs/task-queue/src/broker/redis-backend.js';
import { processPools } from '../../libs/task-queue/src/nest/process-pools.js';
import { onPlatform } from '../../libs/task-queue/src/nest/task-queue.module.js';
import { type AppFixture, type AppSpec, Runs, type TestApp } from './app-fixture.js';
import { buildWorkers } from './worker-process.js';
import { NOTES, PoolTasks } from './workers/pool-tasks.js';

/** Where Node finds a module of `workers/`, or of the library, after it was built. */
export function built(path: string): string {
  return pathToFileURL(join(buildWorkers(), path)).href;
}

/** Options of a pool whose children bootstrap `pool-module`. */
export function poolOptions(
  options: TaskQueueModuleOptions,
  pool: Partial<ProcessPoolOptions> = {},
): ProcessPoolOptions {
  return {
    type: 'process',
    module: built('pool-module.js'),
    execArgv: [],
    ...pool,
    env: { NODE_OPTIONS: '', POOL_OPTIONS: JSON.stringify({ options }), ...pool.env },
  };
}

/** An application that serves `PoolTasks` in processes of their own. */
export function bootPool(
  apps: AppFixture,
  pool: Partial<ProcessPoolOptions> = {},
  spec: AppSpec = {},
): Promise<TestApp> {
  return apps.boot({
    ...spec,
    providers: [
      PoolTasks,
      {
        provide: NOTES,
        inject: [Runs],
        useFactory: (runs: Runs) => (what: string, details: unknown) => runs.record(what, details),
      },
      ...(spec.providers ?? []),
    ],
    module: (options) => {
      const { queues, errors: _errors, ...shared } = options;
      const resolved: PoolOptions = poolOptions(shared, pool);
      return onPlatform(
        TaskQueueModule.forRoot({ ...options, queues: { pooled: { pool: resolved }, ...queues } }),
        { ...redisPlatform, hosts: processPools(built('node_modules/nestjs-task-queue/nest/child-main.js')) },
      );
    },
  });
}

/** Whether a process of this id runs. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
