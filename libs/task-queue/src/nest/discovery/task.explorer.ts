import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { DuplicateTaskError, InvalidTaskError } from '../../errors/configuration.errors.js';
import { DEFAULT_CONNECTION } from '../../options/resolve-options.js';
import type { TaskRegistry } from '../../task/task-registry.js';
import {
  breakerOf,
  eventTypesOf,
  hasDeclarations,
  hookDeclarationsOf,
  letterHandlerOf,
  retryOptionsOf,
  type TaskClass,
  type TaskDeclaration,
  taskDeclarationOf,
  taskKeyOf,
  taskMetadataOf,
  toTaskMetadata,
} from '../decorators/metadata.js';
import { compilePolicies } from './compile-policies.js';
import { HandlerFactory } from './handler.factory.js';
import { hookedTasks } from './hooked-tasks.js';
import { connectionOf } from './registrations.js';
import { refuseDifferentBreakers } from './shared-breakers.js';
import { classOf, type ProviderWrapper, TaskProvider } from './task-provider.js';
import { type FoundTask, TaskSource } from './task-source.js';

/** Finds the task methods and hooks of all providers of all modules, and what other sources add to them. */
@Injectable()
export class TaskExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly handlers: HandlerFactory,
  ) {}

  /**
   * Fills the registry of one registration with the tasks that belong to it, and their hooks. To be called once,
   * when all modules are there: in `onModuleInit` or later.
   *
   * @param names the names of all registrations of the application
   * @throws DuplicateTaskError when two methods have the same name, or one class is provided twice; also when they
   *   belong to different registrations, because hooks, logs and failures say no more of a task than its name
   * @throws InvalidTaskError when a task or a hook cannot be served as it is declared
   */
  explore(
    registry: TaskRegistry,
    name: string = DEFAULT_CONNECTION,
    names: readonly string[] = [DEFAULT_CONNECTION],
  ): void {
    this.#refuseControllers();
    const providers = this.#declaring(this.discovery.getProviders());
    const tasks = new Map<string, FoundTask>();
    for (const task of this.#find(providers, names)) {
      refuseSecond(tasks.get(task.name), task);
      tasks.set(task.name, task);
    }
    const own = new Map([...tasks].filter(([, task]) => task.connection === name));
    for (const task of own.values()) registry.add(task.define());
    refuseDifferentBreakers(registry.all());
    // Hooks come second: they may name tasks of any class.
    const hosts = [...providers, ...this.#declaring(this.discovery.getControllers())];
    for (const provider of hosts) {
      this.#addHooks(provider, tasks, own, registry);
      this.#addEventHandlers(provider, registry);
    }
    for (const provider of providers) this.#addLetterHandlers(provider, tasks, own, registry);
  }

  *#find(providers: readonly TaskProvider[], names: readonly string[]): Generator<FoundTask> {
    for (const provider of providers) yield* this.#findTasks(provider, names);
    for (const { instance } of this.discovery.getProviders()) {
      if (instance instanceof TaskSource) yield* instance.find(names);
    }
  }

  /** Providers or controllers whose classes have a decorator of ours. */
  #declaring(wrappers: readonly ProviderWrapper[]): TaskProvider[] {
    const seen = new Set<unknown>();
    const found: TaskProvider[] = [];
    for (const wrapper of wrappers) {
      const type = classOf(wrapper);
      if (type === undefined || !hasDeclarations(type)) continue;
      const provider = new TaskProvider(wrapper, type);
      // One object behind two tokens (a factory that hands out another provider) is one provider.
      if (!provider.scoped) {
        if (seen.has(provider.instance)) continue;
        seen.add(provider.instance);
      }
      found.push(provider);
    }
    return found;
  }

  *#findTasks(provider: TaskProvider, names: readonly string[]): Generator<FoundTask> {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const source = `${type.name}.${method}`;
      const declaration = taskDeclarationOf(type, method);
      if (declaration === undefined) {
        if (retryOptionsOf(type, method).length > 0)
          throw new InvalidTaskError(`${source} has @Retry, but no @Task.`);
        if (breakerOf(type, method) !== undefined)
          throw new InvalidTaskError(`${source} has @Breaker, but no @Task.`);
        if (taskKeyOf(type, method) !== undefined)
          throw new InvalidTaskError(`${source} has @Idempotent, but no @Task.`);
        if (letterHandlerOf(type, method) !== undefined)
          throw new InvalidTaskError(`${source} has @OnDeadLetter, but no @Task.`);
        continue;
      }
      const metadata = toTaskMetadata(type, method, declaration);
      const breaker = breakerOf(type, method);
      yield {
        name: metadata.name,
        source,
        connection: connectionOf(source, metadata.connection, names),
        from: { provider, method },
        define: () => ({
          name: metadata.name,
          queue: metadata.queue,
          source,
          options: metadata.options,
          ...(breaker === undefined ? {} : { breaker }),
          ...(metadata.idempotent === undefined ? {} : { idempotent: metadata.idempotent }),
          policies: compilePolicies(source, retryOptionsOf(type, method)),
          takesOutcomes: servedPlan(source, declaration).roles[0] === 'outcomes',
          invoke: this.handlers.createTask(provider, method, servedPlan(source, declaration)),
        }),
      };
    }
  }

  #addHooks(
    provider: TaskProvider,
    tasks: ReadonlyMap<string, FoundTask>,
    own: ReadonlyMap<string, FoundTask>,
    registry: TaskRegistry,
  ): void {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const source = `${type.name}.${method}`;
      for (const { kind, tasks: named } of hookDeclarationsOf(type, method)) {
        const hooked = hookedTasks(source, type, named, tasks).filter((task) => own.has(task));
        if (hooked.length === 0) continue;
        registry.addHook({
          kind,
          source,
          tasks: hooked,
          invoke: this.handlers.createHook(provider, method, kind),
        });
      }
    }
  }

  /** The tasks that handle dead letters: of the tasks of this registration, by tasks of it. */
  #addLetterHandlers(
    provider: TaskProvider,
    tasks: ReadonlyMap<string, FoundTask>,
    own: ReadonlyMap<string, FoundTask>,
    registry: TaskRegistry,
  ): void {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const named = letterHandlerOf(type, method);
      const declaration = taskDeclarationOf(type, method);
      if (named === undefined || declaration === undefined) continue;
      const { name: task, queue } = toTaskMetadata(type, method, declaration);
      if (!own.has(task)) continue;
      const source = `${type.name}.${method}`;
      const handled = named.length === 0 ? undefined : hookedTasks(source, type, named, tasks);
      registry.addLetterHandler({ task, queue, tasks: handled });
    }
  }

  /** They hear of every registration of the application. */
  #addEventHandlers(provider: TaskProvider, registry: TaskRegistry): void {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const types = eventTypesOf(type, method);
      if (types.length === 0) continue;
      const invoke = this.handlers.createEventHandler(provider, method);
      registry.addEventHandler({ types, source: `${type.name}.${method}`, invoke });
    }
  }

  #refuseControllers(): void {
    for (const { metatype } of this.discovery.getControllers()) {
      const [method] = typeof metatype === 'function' ? taskMetadataOf(metatype as TaskClass).keys() : [];
      if (method === undefined) continue;
      throw new InvalidTaskError(
        `${metatype?.name}.${method} has @Task, but ${metatype?.name} is a controller. Move the task to a provider.`,
      );
    }
  }

  #methodsOf(type: TaskClass): string[] {
    return this.scanner.getAllMethodNames(type.prototype as object);
  }
}

function servedPlan(source: string, { parameters }: TaskDeclaration) {
  if (parameters.kind !== 'unknown') return parameters;
  throw new InvalidTaskError(
    `${source}: this build emits no types of parameters, so it cannot be seen which of them are arguments and ` +
      `which is the TaskContext. Enable emitDecoratorMetadata, or put @Ctx() or @Arg() on the parameters.`,
  );
}

function refuseSecond(first: FoundTask | undefined, second: FoundTask): void {
  if (first === undefined) return;
  const type = second.from?.provider.type;
  const hint =
    type !== undefined && first.from?.provider.type === type
      ? ' (it is the same class: provide it in one module, and export it from there)'
      : '';
  throw new DuplicateTaskError(second.name, placeOf(first), `${placeOf(second)}${hint}`);
}

function placeOf({ source, from }: FoundTask): string {
  return from === undefined ? source : `${source} in ${from.provider.module}`;
}
