import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { RetryTask } from '../../errors/control-flow.js';
import type { JsonValue } from '../../primitives/json.js';
import { TaskContext, type TaskContextInit, taskStorage } from '../../task/task-context.js';
import { TaskRegistry } from '../../task/task-registry.js';
import { HandlerFactory } from './handler.factory.js';
import { RecoveryExplorer } from './recovery.explorer.js';
import { TaskExplorer } from './task.explorer.js';

/** A context as an execution would make it, for specs that have none. */
export function makeContext(init: Partial<TaskContextInit> = {}): TaskContext {
  return new TaskContext(() => ({
    id: 'id-1',
    name: 'Spec.task',
    args: [],
    queue: 'default',
    attempt: 1,
    retries: 0,
    maxRetries: () => 0,
    headers: {},
    workflow: { id: 'id-1', position: '' },
    signal: () => new AbortController().signal,
    logger: () => ({ log: ignore, warn: ignore, error: ignore, debug: ignore }),
    progress: async () => undefined,
    idempotencyKey: () => undefined,
    lock: (name) => Promise.reject(new Error(`no lock ${name} in a spec`)),
    interruption: () => undefined,
    extendTimeLimit: ignore,
    replacement: (canvas) => canvas.toJSON(),
    addMember: async () => '',
    retry: (request) => {
      throw new RetryTask(request);
    },
    retriesSpent: () => false,
    willRetry: () => true,
    ...init,
  }));
}

/** An application whose tasks have been discovered. */
export interface SpecApp {
  readonly app: INestApplication;
  readonly registry: TaskRegistry;
  /** Runs one attempt of a task. */
  readonly run: (name: string, ...args: JsonValue[]) => Promise<unknown>;
  readonly runIn: (context: TaskContext, name: string, ...args: JsonValue[]) => Promise<unknown>;
}

/** @param configure what an application does between its creation and its start, such as useGlobalPipes */
export async function startApp(
  metadata: ModuleMetadata,
  configure: (app: INestApplication) => void = ignore,
): Promise<SpecApp> {
  const app = await createApp(metadata);
  const registry = new TaskRegistry();
  // Before the application is configured, as a module that explores in onModuleInit of a microservice does.
  app.get(TaskExplorer).explore(registry);
  configure(app);
  await app.init();
  const runIn = async (context: TaskContext, name: string, ...args: JsonValue[]): Promise<unknown> => {
    const task = registry.get(name);
    if (!task) throw new Error(`no task ${name}`);
    // As an attempt does it: whoever invokes a task carries its context below the handler.
    return taskStorage.run(context, () => task.invoke(args, context));
  };
  return { app, registry, runIn, run: (name, ...args) => runIn(makeContext({ name, args }), name, ...args) };
}

/** An application in which nothing has been discovered yet. */
export async function createApp(metadata: ModuleMetadata): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [DiscoveryModule, ...(metadata.imports ?? [])],
    providers: [HandlerFactory, TaskExplorer, RecoveryExplorer, ...(metadata.providers ?? [])],
  }).compile();
  return module.createNestApplication({ logger: false });
}

/** What the discovery finds. */
export async function explore(metadata: ModuleMetadata): Promise<TaskRegistry> {
  const registry = new TaskRegistry();
  (await createApp(metadata)).get(TaskExplorer).explore(registry);
  return registry;
}

/** The error with which the discovery ends the start of an application. */
export async function refusalOf(metadata: ModuleMetadata): Promise<Error> {
  return (await rejectionOf(explore(metadata))) as Error;
}

/** What a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  const settled = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in settled) return settled.error;
  throw new Error(`expected a rejection, got ${JSON.stringify(settled.value)}`);
}

function ignore(): void {
  // Nothing to do.
}
