/**
 * Runs tasks with request-scoped providers and enhancers, and tells what of them is still alive in the end. Its options
 * stand in WORKER_OPTIONS.
 */
import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type CallHandler,
  type CanActivate,
  Inject,
  Injectable,
  Module,
  type NestInterceptor,
  Scope,
  UseGuards,
  UseInterceptors,
  ValidationPipe,
} from '@nestjs/common';
import { APP_PIPE, NestFactory, REQUEST } from '@nestjs/core';
import type { Observable } from 'rxjs';
import { Task, TaskQueueModule, type TaskRequest, WorkflowService } from 'nestjs-task-queue';

interface Options {
  readonly url: string;
  readonly prefix: string;
  readonly warmUp: number;
  readonly tasks: number;
}
const { url, prefix, warmUp, tasks } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as Options;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let made = 0;
let gone = 0;
const registry = new FinalizationRegistry<undefined>(() => gone++);
function watch(object: object): void {
  made++;
  registry.register(object, undefined);
}

@Injectable({ scope: Scope.REQUEST })
class AttemptScope {
  constructor(@Inject(REQUEST) readonly request: TaskRequest) {
    watch(this);
    watch(request.task);
  }
}

@Injectable()
class ScopedGuard implements CanActivate {
  constructor(private readonly scope: AttemptScope) {}
  canActivate(): boolean {
    return this.scope.request.task.id !== '';
  }
}

@Injectable()
class PlainInterceptor implements NestInterceptor {
  intercept(_: unknown, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

let run = 0;

@Injectable()
@UseGuards(ScopedGuard)
@UseInterceptors(PlainInterceptor)
class ScopedTasks {
  constructor(private readonly scope: AttemptScope) {
    watch(this);
  }

  @Task({ ignoreResult: true })
  work(value: number): number {
    run++;
    return value + this.scope.request.args.length;
  }
}

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url, connectionName: prefix },
      prefix,
      queues: { default: { concurrency: 50 } },
      defaults: { resultExpires: 1_000 },
    }),
  ],
  providers: [AttemptScope, ScopedTasks, { provide: APP_PIPE, useClass: ValidationPipe }],
})
class ScopedWorkerModule {}

/** Publishes so many tasks and waits until they have run. */
async function work(workflows: WorkflowService, count: number): Promise<void> {
  const { work: task } = workflows.tasks(ScopedTasks);
  const end = run + count;
  for (let at = 0; at < count; at += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, count - at) }, (_, index) => task.delay(at + index)),
    );
  }
  while (run < end) await delay(20);
}

/** The heap after everything that can go has gone; finalizers run between turns of the event loop. */
async function heapBytes(): Promise<number> {
  for (let round = 0; round < 10; round++) {
    collect();
    await delay(50);
  }
  return process.memoryUsage().heapUsed;
}

const app = await NestFactory.createApplicationContext(ScopedWorkerModule, { logger: ['warn', 'error'] });
process.once('disconnect', () => process.exit(1));
process.send?.('ready');
const workflows = app.get(WorkflowService);
await work(workflows, warmUp);
const before = await heapBytes();
await work(workflows, tasks);
const grownBytes = (await heapBytes()) - before;
process.stdout.write(`${JSON.stringify({ made, alive: made - gone, grownBytes })}\n`);
await app.close();
process.removeAllListeners('disconnect');
process.disconnect();
